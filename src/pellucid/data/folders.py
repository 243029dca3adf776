"""Pictures in files: a folder with all that is below it, or CelebA's layouts; with the tables beside them.

Of a picture only name, size and time are looked at; it is opened when it is decoded.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pellucid.data.annotations import Annotations, annotate
from pellucid.data.images import Crop, printable
from pellucid.data.source import Item, Source, decoding_seconds, selection, title
from pellucid.data.tables import is_table
from pellucid.errors import DataError

READ = (".jpg", ".jpeg", ".jpe", ".png", ".webp")
# What people also have in such folders: listed as skipped, with the reason, and not passed over in silence.
NOT_READ = (
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".heic",
    ".heif",
    ".avif",
    ".jp2",
    ".jxl",
    ".ppm",
    ".pgm",
    ".tga",
)
MAX_FILES = 10_000_000
_CELEBA_PICTURES = ("img_align_celeba", "img_align_celeba_png")


def folder(root: Path, skip: int, limit: int | None) -> Source:
    """The pictures in and below a folder, with what the tables say that lie in it.

    Read are CSV, TSV and JSON Lines in the folder itself, and `metadata.csv` or `metadata.jsonl` in any
    folder below, whose file names are relative to it, as data sets on the Hugging Face hub have them.

    Raises:
        DataError: If there are no pictures, or too many.
        ConfigError: If `skip` or `limit` leave no image.
    """
    found = _search(root)
    files = _selected(root, found.files, skip, limit)
    used = [name for name in found.tables if "/" not in name or _is_metadata(name)]
    known = annotate(
        {name: root / name for name in used},
        [file.name for file in files],
        unused=[name for name in found.tables if name not in used] + _beside(root),
    )
    return _of_files("folder", f"photographs from {title(root)}", root, files, known)


def celeba(root: Path, skip: int, limit: int | None) -> Source:
    """The pictures of CelebA, with the tables that lie beside them: attributes, parts and identities.

    Raises:
        DataError: If there are no pictures, or too many, or a table is malformed.
        ConfigError: If `skip` or `limit` leave no image.
    """
    pictures = celeba_pictures(root)
    assert pictures is not None
    files = _selected(pictures, _search(pictures).files, skip, limit)
    known = annotate(_celeba_tables(root), [file.name for file in files])
    noun = f"photographs from {title(root)} (CelebA layout)"
    return _of_files("celeba", noun, pictures, files, known, "celeba")


def celeba_pictures(root: Path) -> Path | None:
    """Where CelebA's pictures lie below its root; None if this is not its root.

    As torchvision unpacks them, in `Img/` as the authors publish them (there also as PNG), or one folder
    deeper, as Kaggle's archive does.
    """
    places = [parent / name for parent in (root, root / "Img") for name in _CELEBA_PICTURES]
    place = next((place for place in places if place.is_dir()), None)
    if place is not None and (place / place.name).is_dir():
        return place / place.name
    return place


def _celeba_tables(root: Path) -> dict[str, Path]:
    """The tables in CelebA's root, and where the authors publish them: `Anno/` and `Eval/`."""
    tables = dict[str, Path]()
    for below in ("", "Anno/", "Eval/"):
        with suppress(OSError):
            inside = sorted((root / below).iterdir())
            tables |= {
                f"{below}{path.name}": path for path in inside if is_table(path.name) and path.is_file()
            }
    return tables


def _is_metadata(name: str) -> bool:
    return name.rpartition("/")[2] in ("metadata.csv", "metadata.jsonl")


def _beside(root: Path) -> list[str]:
    """CelebA's tables beside a folder that itself is the folder of its pictures, as a hint."""
    root = root.resolve()
    return [
        f"{name} (name the folder {title(above)} to use it)"
        for above in root.parents[:2]
        if celeba_pictures(above) == root
        for name in _celeba_tables(above)
    ]


@dataclass(frozen=True)
class _File:
    name: str
    size: int
    modified: int
    problem: str = ""


def _of_files(
    kind: str,
    noun: str,
    root: Path,
    files: list[_File],
    annotations: Annotations,
    crop: Crop = "center",
) -> Source:
    def chunks() -> Iterator[list[Item]]:
        for at in range(0, len(files), 32):
            yield [file.problem or root / file.name for file in files[at : at + 32]]

    return Source(
        kind=kind,
        noun=noun,
        names=tuple(file.name for file in files),
        state=(str(root.resolve()), [(file.name, file.size, file.modified) for file in files]),
        chunks=chunks,
        seconds=decoding_seconds(len(files), sum(file.size for file in files)),
        annotations=annotations,
        crop=crop,
        root=root,
    )


@dataclass(frozen=True)
class _Found:
    """The pictures and the names of the tables in and below a folder, sorted."""

    files: list[_File]
    tables: list[str]


def _selected(root: Path, files: list[_File], skip: int, limit: int | None) -> list[_File]:
    if not files:
        raise DataError(
            f"{printable(root)}: expected pictures (.jpg, .png or .webp) in or below the folder, got none. "
            "Check the path."
        )
    return files[selection(len(files), skip, limit)]


def _search(root: Path) -> _Found:
    """Look through a folder and all below it; each folder once, so that links in a circle come to an end."""
    found = _Found([], [])
    waiting, seen = [(root, "")], set[tuple[int, int]]()
    while waiting:
        folder, prefix = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            found.files.append(_File(prefix, 0, 0, f"the folder cannot be listed ({error.strerror})"))
            continue
        for entry in inside:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                waiting.append((Path(entry.path), f"{prefix}{entry.name}/"))
            elif os.path.splitext(entry.name)[1].lower() in READ + NOT_READ:  # noqa: PTH122 (faster)
                if len(found.files) == MAX_FILES:
                    raise DataError(f"{printable(root)}: expected at most {MAX_FILES:,} pictures. Split it.")
                found.files.append(_file(entry, prefix))
            elif is_table(entry.name):
                found.tables.append(prefix + entry.name)
    found.files.sort(key=lambda file: file.name)
    found.tables.sort()
    return found


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _file(entry: os.DirEntry[str], prefix: str) -> _File:
    name = prefix + entry.name
    try:
        status = entry.stat()
    except OSError as error:
        return _File(name, 0, 0, f"cannot be read ({error.strerror})")
    return _File(name, status.st_size, status.st_mtime_ns)
