"""Small files that claim or unpack to gigabytes, each read by a process that may take 512 MB more.

Run as a program with a folder to work in, it forks a process for each of them, or for those that are named,
and prints as JSON the size of the file, what was said of it, and by how much memory grew.
"""

import base64
import importlib
import io
import json
import os
import resource
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

CAP = int(os.environ.get("CAP_MB", 512)) << 20
ZEROS = bytes(1 << 20)


def number(value: int) -> bytes:
    """A varint of thrift."""
    content = b""
    while value >= 128:
        content, value = content + bytes([value & 127 | 128]), value >> 7
    return content + bytes([value])


def i32(field: int, value: int) -> bytes:
    """A 32-bit or 64-bit number in a struct of thrift, with the number of its field written out."""
    return b"\x05" + number(field << 1) + number(value << 1 ^ (value >> 63))


def i64(field: int, value: int) -> bytes:
    return b"\x06" + number(field << 1) + number(value << 1 ^ (value >> 63))


def text(field: int, value: bytes) -> bytes:
    return b"\x08" + number(field << 1) + number(len(value)) + value


def inner(field: int, *fields: bytes) -> bytes:
    return b"\x0c" + number(field << 1) + b"".join(fields) + b"\0"


def several(field: int, kind: int, count: int, content: bytes) -> bytes:
    """A list, whose count may be a lie."""
    return b"\x09" + number(field << 1) + bytes([0xF0 | kind]) + number(count) + content


SCHEMA = several(
    2, 12, 2, text(4, b"schema") + i32(5, 1) + b"\0" + i32(1, 6) + i32(3, 0) + text(4, b"image") + b"\0"
)


def parquet_file(
    pages: bytes, rows: int, *, codec: int = 0, dictionary: int | None = None, footer: bytes = b""
) -> bytes:
    """A Parquet file of one column `image`, whose pages are given as they are."""
    chunk = (
        i32(1, 6)
        + several(2, 5, 1, number(0))
        + several(3, 8, 1, number(5) + b"image")
        + i32(4, codec)
        + i64(5, rows)
        + i64(6, len(pages))
        + i64(7, len(pages))
        + i64(9, 4 if dictionary is None else 4 + dictionary)
        + (b"" if dictionary is None else i64(11, 4))
    )
    group = several(1, 12, 1, i64(2, 4) + inner(3, chunk) + b"\0") + i64(2, len(pages)) + i64(3, rows) + b"\0"
    footer = footer or i32(1, 1) + SCHEMA + i64(3, rows) + several(4, 12, 1, group) + b"\0"
    return b"PAR1" + pages + footer + struct.pack("<I", len(footer)) + b"PAR1"


def page(content: bytes, unpacked: int, values: int, encoding: int = 0) -> bytes:
    data = inner(5, i32(1, values), i32(2, encoding), i32(3, 3), i32(4, 3))
    return i32(1, 0) + i32(2, unpacked) + i32(3, len(content)) + data + b"\0" + content


def dictionary_page(content: bytes, unpacked: int, values: int) -> bytes:
    return (
        i32(1, 2)
        + i32(2, unpacked)
        + i32(3, len(content))
        + inner(7, i32(1, values), i32(2, 0))
        + b"\0"
        + content
    )


def packed(size: int, codec: str) -> bytes:
    """One value of zeros, plain, as a page holds it."""
    import pyarrow as pa

    return pa.Codec(codec).compress(struct.pack("<I", size) + bytes(size), asbytes=True)


def parquet_page() -> bytes:
    content = packed((1 << 31) - 5, "brotli")
    return parquet_file(page(content, (1 << 31) - 1, 1), 1, codec=4)


def parquet_dictionary() -> bytes:
    """One value of 60 MB, in each of a thousand rows."""
    size = 60 << 20
    content = packed(size, "brotli")
    first = dictionary_page(content, size + 4, 1)
    import pyarrow as pa

    indices = pa.Codec("brotli").compress(b"\x01" + number(1000 << 1) + b"\0", asbytes=True)
    return parquet_file(first + page(indices, 4, 1000, 8), 1000, codec=4, dictionary=len(first))


def parquet_small_dictionary() -> bytes:
    """As before, with a value that is within what is accepted: all rows have it."""
    size = (16 << 20) - 8
    content = packed(size, "brotli")
    first = dictionary_page(content, size + 4, 1)
    import pyarrow as pa

    indices = pa.Codec("brotli").compress(b"\x01" + number(40 << 1) + b"\0", asbytes=True)
    return parquet_file(first + page(indices, 3, 40, 8), 40, codec=4, dictionary=len(first))


def parquet_dictionary_count() -> bytes:
    first = dictionary_page(b"", 0, (1 << 31) - 1)
    return parquet_file(first + page(b"\x01\x02\0", 3, 1, 8), 1, dictionary=len(first))


def parquet_deltas() -> bytes:
    """Lengths that are claimed to be two thousand million."""
    content = number(1 << 30) + number(1) + number((1 << 31) - 1) + number(0)
    return parquet_file(page(content + bytes(64), len(content) + 64, 1, 6), 1)


def parquet_list() -> bytes:
    """A row group that claims a million columns, again and again."""
    group = b"\x09" + number(1 << 1) + b"\xfc" + number(999_999)
    footer = i32(1, 1) + SCHEMA + i64(3, 1) + several(4, 12, 1, group)
    return parquet_file(b"", 1, footer=footer)


def parquet_schema() -> bytes:
    """As many columns as fit into a few megabytes."""
    count = 900_000
    column = i32(1, 6)[1:]
    column = b"\x15\x0c" + b"\x25\x00" + b"\x18\x01x" + b"\0"
    root = text(4, b"schema") + i32(5, count) + b"\0"
    footer = (
        i32(1, 1)
        + several(2, 12, count + 1, root + column * count)
        + i64(3, 1)
        + several(4, 12, 0, b"")
        + b"\0"
    )
    return parquet_file(b"", 1, footer=footer)


def parquet_rows() -> bytes:
    """A hundred million rows, of which each is nothing."""
    first, rows = dictionary_page(bytes(4), 4, 1), 100_000_000
    indices = b"\x01" + number(rows << 1) + b"\0"
    return parquet_file(first + page(indices, len(indices), rows, 8), rows, dictionary=len(first))


def deflated(begin: bytes, block: bytes, times: int, end: bytes = b"") -> bytes:
    """The same as compressing `begin + times * block + end`, which would take far longer."""
    packing = zlib.compressobj(9, wbits=-15)
    first = packing.compress(begin) + packing.flush(zlib.Z_FULL_FLUSH)
    middle = packing.compress(block) + packing.flush(zlib.Z_FULL_FLUSH)
    return first + middle * times + packing.compress(end) + packing.flush()


def gz(begin: bytes, block: bytes, times: int, end: bytes = b"") -> bytes:
    """A gzip file, whose checksum is wrong."""
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + deflated(begin, block, times, end) + bytes(8)


def tar_header(kind: bytes, size: int, name: str = "x.png") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def giant_header(kind: bytes) -> bytes:
    """A header of two thousand million bytes."""
    return gz(tar_header(kind, 2000 << 20), ZEROS, 2000, tar_header(tarfile.REGTYPE, 0))


def many_members() -> bytes:
    headers = b"".join(tar_header(tarfile.REGTYPE, 0, f"{at}.txt") for at in range(2000))
    return gz(b"", headers, 150, bytes(1024))


def many_names() -> bytes:
    """Pictures whose names have four thousand letters each."""
    name = tar_header(tarfile.GNUTYPE_LONGNAME, 4001) + (b"n" * 3997 + b".png\0").ljust(4096, b"\0")
    return gz(b"", (name + tar_header(tarfile.REGTYPE, 0)) * 1000, 200)


def sparse_map() -> bytes:
    info = tarfile.TarInfo("x.png")
    info.size = 1 << 31
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x.png"}
    return gz(info.tobuf(tarfile.PAX_FORMAT) + b"999999999\n", b"0\n" * (1 << 19), 300)


def sparse_pictures() -> bytes:
    """Pictures of 190 MB that are holes."""
    info = tarfile.TarInfo("x.png")
    info.size = 512
    info.pax_headers = {
        **{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x.png"},
        "GNU.sparse.realsize": str(190_000_000),
    }
    return gz(b"", info.tobuf(tarfile.PAX_FORMAT) + b"1\n190000000\n0\n".ljust(512, b"\0"), 20, bytes(1024))


def array_header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def npz(**members: tuple[bytes, int]) -> bytes:
    """Arrays by name: how each begins, and how many zeros follow."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (begin, zeros) in members.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(begin)
                for at in range(0, zeros, len(ZEROS)):
                    member.write(ZEROS[: zeros - at])
    return file.getvalue()


def npz_factors() -> bytes:
    rows = 6_000_000
    table = (array_header((rows, 6), "<i8"), rows * 48)
    return npz(imgs=(array_header((rows, 5, 5)), 25 * rows), latents_values=table, latents_classes=table)


def zip_directory() -> bytes:
    """A directory of 400,000 files that are all the same one."""
    name = b"x"
    entry = (
        struct.pack(
            "<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0
        )
        + name
    )
    count = 400_000
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count & 0xFFFF, count & 0xFFFF, len(entry) * count, 0, 0)
    return entry * count + end


def png(
    width: int, height: int, kind: int, depth: int, extra: bytes = b"", interlaced: bool = False
) -> bytes:
    """A picture of zeros; kind 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    size = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind] * depth // 8
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    zeros = sum(
        len(range(y, height, down)) * (1 + size * len(range(x, width, right)))
        for x, y, right, down in (passes if interlaced else ((0, 0, 1, 1),))
    )
    checksum = struct.pack(">I", zeros % 65521 << 16 | 1)  # Adler-32 of zeros
    data = b"\x78\xda" + deflated(bytes(zeros % len(ZEROS)), ZEROS, zeros // len(ZEROS)) + checksum
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def picture(mode: str, kind: str, megapixels: int = 50, **settings: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, (8000, 125 * megapixels)).save(file, kind, **settings)
    return file.getvalue()


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x0112] = 6
    return tags.tobytes()


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


COLUMNS = ["file", *(f"a{at}" for at in range(999))]
CSV_HEADER = f"{','.join(COLUMNS)}\n".encode()
JSON_LINE = f"{json.dumps(dict.fromkeys(COLUMNS))}\n".encode()


def different_words(count: int) -> bytes:
    """Rows of a thousand words of four letters, each another."""
    numbers = np.arange(count, dtype=">u4").view(np.uint8).reshape(count, 4)[:, 1:]
    words = np.frombuffer(base64.b64encode(numbers.tobytes()), "S4").reshape(-1, 1000)
    return b"\n".join(map(b",".join, words.tolist()))


def json_names() -> bytes:
    return b"".join(b'{"%d":0}\n' % at for at in range(1_000_000))


def celeba_lines() -> bytes:
    return b"4900000\na\n" + b"a 1\n" * 4_900_000


SIDES = (8000, 6250)  # 50 megapixels
PALETTE = png_chunk(b"PLTE", bytes(768))
PACKED_ZEROS = b"a\0\0" + b"\x78\xda" + deflated(b"", ZEROS, 400)

HARDLY = "hardly shrink when packed"
HEADERS = "headers of at most 64 KiB a member"
NOT_EVEN = "expected a JPEG, PNG or WEBP picture, got something else"

BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "page.parquet": (HARDLY, parquet_page),
    "dictionary.parquet": (HARDLY, parquet_dictionary),
    "small dictionary.parquet": (NOT_EVEN, parquet_small_dictionary),
    "dictionary count.parquet": ("more values than bytes", parquet_dictionary_count),
    "deltas.parquet": ("neither plain nor by a dictionary", parquet_deltas),
    "list.parquet": ("a list is longer than the bytes", parquet_list),
    "schema.parquet": ("too many parts", parquet_schema),
    "rows.parquet": ("of free disk", parquet_rows),
    "long name.tar.gz": (HEADERS, lambda: giant_header(tarfile.GNUTYPE_LONGNAME)),
    "long link.tar.gz": (HEADERS, lambda: giant_header(tarfile.GNUTYPE_LONGLINK)),
    "pax.tar.gz": (HEADERS, lambda: giant_header(tarfile.XHDTYPE)),
    "pax for all.tar.gz": (HEADERS, lambda: giant_header(tarfile.XGLTYPE)),
    "members.tar.gz": ("rows", many_members),
    "names.tar.gz": ("characters together", many_names),
    "sparse map.tar.gz": (HEADERS, sparse_map),
    "sparse pictures.tar.gz": ("is sparse", sparse_pictures),
    "wide rows.npz": (
        "images of at most 150,000,000 bytes",
        lambda: npz(imgs=(array_header((1, 4000, 3000, 3), "<f8"), 288_000_000)),
    ),
    "rows.npz": ("1 images", lambda: npz(imgs=(array_header((1, *SIDES, 3)), 150_000_000))),
    "float rows.npz": (
        "1 images",
        lambda: npz(imgs=(array_header((1, 2500, 2500, 3), "<f8"), 150_000_000)),
    ),
    "header.npz": (
        "header is too long",
        lambda: npz(imgs=(b"\x93NUMPY\x02\0" + struct.pack("<I", 600_000_000), 600_000_000)),
    ),
    "factors.npz": ("expected numbers [6000000 6]", npz_factors),
    "directory.npz": ("expected parts of at most", zip_directory),
    "wide.csv": ("takes at most 350 MB", lambda: CSV_HEADER + b"a\n" * 500_000),
    "words.csv": ("takes at most 350 MB", lambda: CSV_HEADER + different_words(3_000_000)),
    "wide.jsonl": ("takes at most 350 MB", lambda: JSON_LINE + b"{}\n" * 300_000),
    "names.jsonl": ("at most 1000 different names", json_names),
    "list_attr_celeba.txt": ("takes at most 350 MB", celeba_lines),
    "header.npy": (
        "header is too long",
        lambda: b"\x93NUMPY\x02\0" + struct.pack("<I", 2_000_000_000) + bytes(100),
    ),
    "RGB.png": ("read", lambda: png(*SIDES, 2, 8)),
    "RGB 16.png": ("read", lambda: png(*SIDES, 2, 16)),
    "RGB key.png": ("read", lambda: png(*SIDES, 2, 8, png_chunk(b"tRNS", bytes(6)))),
    "RGBA.png": ("read", lambda: png(*SIDES, 6, 8)),
    "RGBA 16.png": ("read", lambda: png(*SIDES, 6, 16)),
    "RGBA turned.png": ("read", lambda: png(*SIDES, 6, 8, png_chunk(b"eXIf", exif()[6:]))),
    "one line.png": ("pixels a side", lambda: png(50_000_000, 1, 6, 8)),
    "interlaced.png": ("read", lambda: png(*SIDES, 6, 8, interlaced=True)),
    "grey alpha.png": ("read", lambda: png(*SIDES, 4, 8)),
    "grey 16.png": ("read", lambda: png(*SIDES, 0, 16)),
    "grey 16 key.png": ("read", lambda: png(*SIDES, 0, 16, png_chunk(b"tRNS", bytes(2)))),
    "palette.png": ("read", lambda: png(*SIDES, 3, 8, PALETTE)),
    "palette key.png": ("read", lambda: png(*SIDES, 3, 8, PALETTE + png_chunk(b"tRNS", bytes(9)))),
    "text.png": ("MAX_TEXT_CHUNK", lambda: png(8, 8, 2, 8, png_chunk(b"zTXt", PACKED_ZEROS))),
    "profile.png": ("MAX_TEXT_CHUNK", lambda: png(8, 8, 2, 8, png_chunk(b"iCCP", PACKED_ZEROS))),
    "RGB.jpg": ("read", lambda: picture("RGB", "JPEG")),
    "turned.jpg": ("read", lambda: picture("RGB", "JPEG", exif=exif())),
    "progressive.jpg": ("read", lambda: picture("RGB", "JPEG", 48, progressive=True, subsampling=0)),
    "progressive CMYK.jpg": ("read", lambda: picture("CMYK", "JPEG", 40, progressive=True)),
    "large progressive.jpg": ("at most 48 megapixels", lambda: picture("RGB", "JPEG", progressive=True)),
    "RGB.webp": ("read", lambda: picture("RGB", "WEBP", 30, lossless=True, method=0)),
    "RGBA.webp": ("read", lambda: picture("RGBA", "WEBP", 30, lossless=True, method=0)),
    "large.webp": ("at most 30 megapixels", lambda: picture("RGB", "WEBP", lossless=True, method=0)),
}
"""What is said of each, and the file."""


def use(path: Path) -> str:
    """Read a file as Pellucid does when it scores and when it trains; what was given, in short."""
    from pellucid.data.annotations import annotate
    from pellucid.data.images import Preprocessing
    from pellucid.data.store import open_dataset
    from pellucid.data.tables import is_table
    from pellucid.data.workers import outcome
    from pellucid.errors import PellucidError
    from pellucid.scoring.inputs import find_inputs
    from pellucid.scoring.part import prepared

    if is_table(path.name):
        try:
            return " ".join(annotate({path.name: path}, ["a.png"]).notes)
        except PellucidError as error:
            return str(error)
    preprocessing, said = Preprocessing(32, 3, "center"), []
    if path.suffix in (".png", ".jpg", ".webp"):
        found = outcome(path, preprocessing)
        return found if isinstance(found, str) else "read"
    try:
        rows, reasons = 0, dict[str, int]()
        for part in find_inputs([str(path)], preprocessing).parts:
            for _, found in prepared(part, preprocessing):
                rows += 1
                if isinstance(found, str):
                    reasons[found[:300]] = 1
                if rows == 50_000:
                    break
            if rows == 50_000:
                break
        said.append(f"{rows} rows {list(reasons)[:3]}")
    except PellucidError as error:
        said.append(str(error))
    if path.suffix in (".parquet", ".npz", ".npy"):
        try:
            said.append(f"{len(open_dataset(path, size=32))} images")
        except PellucidError as error:
            said.append(str(error))
    return "; ".join(said)


def defuse(path: Path) -> tuple[str, int]:
    """What a process of its own says of a file, and by how many bytes its memory grew at the most."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + CAP,) * 2)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            said = use(path)
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        os.write(writing, json.dumps([said[:2000], grown << 10]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        content = file.read()
    _, status = os.waitpid(child, 0)
    return tuple(json.loads(content)) if content else (f"killed: {status}", 0)


def main(folder: Path, names: list[str]) -> None:
    use(Path("none.png"))  # imports what is needed
    importlib.import_module("pyarrow.parquet")
    importlib.import_module("pellucid.anomaly.features")
    found = {}
    for name in names or BOMBS:
        path = folder / name
        path.write_bytes(BOMBS[name][1]())
        size = path.stat().st_size
        found[name] = (size, *defuse(path))
        path.unlink()
        print(
            f"{name}: {size:,} bytes, {found[name][2] / 1e6:,.0f} MB, {found[name][1][:150]}", file=sys.stderr
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
