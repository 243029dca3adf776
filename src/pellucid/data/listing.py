"""List what lies in and below a folder, so that every image is read or has the reason why not.

An image is known by its name or by its first bytes. What is neither an image nor a known companion of images
(`COMPANIONS`) is listed with a reason: nothing that could be an image is passed over in silence.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from pellucid.data.images import HEAD, content_of, is_encoded_image
from pellucid.data.paths import printable
from pellucid.errors import DataError
from pellucid.storage.regular import open_regular

IMAGES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp"),
    # Never read, but expected to be by whoever has them: taken for images without a look into them.
    *(".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".ppm", ".pgm", ".tga"),
)
SHARDS = (".tar", ".tar.gz", ".tgz")  # a .xz may ask for gigabytes to be unpacked
TABLES = (".parquet",)
ARRAYS = (".npy", ".npz")
# What lies beside images and tells of them. By content it may be an image all the same.
COMPANIONS = (
    *(".txt", ".md", ".rst", ".html", ".htm", ".log", ".cls", ".id", ".index", ".caption", ".url"),
    *(".json", ".jsonl", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".toml", ".ini", ".cfg"),
    *(".py", ".ipynb", ".sh", ".md5", ".sha1", ".sha256", ".db"),
)
_COMPANION_NAMES = ("readme", "license", "licence", "copying", "notice", "changelog", "citation", "makefile")

MAX_FILES = 10_000_000

_HIDDEN = "begins with a dot, so it is not read. Rename it, or leave it out."

Kind = Literal["image", "shard", "table", "array", "companion", "hidden", "unknown"]


def kind_of(name: str) -> Kind:
    """Tell what a file is by its name; `companion`, `hidden` and `unknown` may be an image by content."""
    base = PurePosixPath(name).name.lower()
    if base.startswith("."):
        return "hidden"
    endings: tuple[tuple[Kind, tuple[str, ...]], ...] = (
        ("image", IMAGES),
        ("shard", SHARDS),
        ("table", TABLES),
        ("array", ARRAYS),
        ("companion", COMPANIONS),
    )
    for kind, known in endings:
        if base.endswith(known):
            return kind
    return "companion" if base in _COMPANION_NAMES else "unknown"


def problem_of(name: str, head: bytes) -> str | None:
    """Say why a file is not read as an image.

    Args:
        name: Of the file.
        head: Its first `HEAD` bytes, or all.

    Returns:
        "" if it is read; None if it is a companion or hidden, and no image.
    """
    kind, image = kind_of(name), is_encoded_image(head)
    if kind == "hidden":
        return _HIDDEN if image else None
    if kind == "image" or image:
        return ""
    if kind == "companion":
        return None
    return f"expected a JPEG, PNG or WEBP picture, got {content_of(head)}. Convert it, or leave it out."


@dataclass(frozen=True)
class File:
    """A file of a folder.

    Attributes:
        name: Relative to the folder, with `/`.
        size: In bytes.
        modified: In nanoseconds since 1970.
        kind: `image` also stands for what cannot be read.
        problem: Why it cannot be read; "" if that is not known.
    """

    name: str
    size: int = 0
    modified: int = 0
    kind: Literal["image", "shard", "table", "array"] = "image"
    problem: str = ""


@dataclass(frozen=True)
class Listing:
    """What lies in and below a folder, sorted by name.

    Attributes:
        files: Images, shards, tables and arrays, and what cannot be told, with a problem.
        companions: Names of the companions, relative to the folder.
    """

    files: tuple[File, ...]
    companions: tuple[str, ...]


def list_folder(root: Path) -> Listing:
    """List what lies in and below a folder.

    Of what is an image by its name nothing is read; of everything else the first bytes. Each folder is
    entered once, so links in a circle come to an end. A folder whose name begins with a dot is not entered,
    but has a problem if it holds images.

    Raises:
        DataError: If the folder cannot be listed, or holds too many files.
    """
    files, companions = list[File](), list[str]()
    for found in _walk(root):
        if isinstance(found, str):
            companions.append(found)
        elif found.name:
            files.append(found)
        else:
            raise DataError(f"{printable(root)}: {found.problem}. Allow it, or name another.")
        if len(files) + len(companions) > MAX_FILES:
            raise DataError(f"{printable(root)}: expected at most {MAX_FILES:,} files. Split the folder.")
    return Listing(tuple(sorted(files, key=lambda file: file.name)), tuple(sorted(companions)))


def _walk(root: Path) -> Iterator[File | str]:
    """Every file that is not hidden; of a companion the name."""
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
            yield File(prefix, problem=f"the folder cannot be listed ({error.strerror})")
            continue
        for entry in inside:
            if not _is_folder(entry):
                found = _file(entry, prefix)
                if found is not None:
                    yield found
            elif not entry.name.startswith("."):
                waiting.append((Path(entry.path), f"{prefix}{entry.name}/"))
            elif _holds_images(Path(entry.path)):
                yield File(f"{prefix}{entry.name}/", problem=f"holds images, but its name {_HIDDEN}")


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _holds_images(folder: Path) -> bool:
    """Whether there are images by their names in or below a folder."""
    return any(kind_of(name) == "image" for _, _, names in os.walk(folder) for name in names)


def _file(entry: os.DirEntry[str], prefix: str) -> File | str | None:
    """What a file is, by its name where that tells; of a companion the name; None if it is hidden."""
    name, kind = prefix + entry.name, kind_of(entry.name)
    try:
        status = entry.stat()
        if kind == "image":
            return File(name, status.st_size, status.st_mtime_ns)
        if not stat.S_ISREG(status.st_mode):
            return None if kind == "hidden" else File(name, problem="is no regular file")
        with open_regular(Path(entry.path)) as file:
            head = file.read(HEAD)
    except OSError as error:
        return None if kind == "hidden" else File(name, problem=f"cannot be read ({error.strerror})")
    if kind in ("shard", "table", "array") and not is_encoded_image(head):
        return File(name, status.st_size, status.st_mtime_ns, kind)
    problem = problem_of(entry.name, head)
    if problem is None:
        return name if kind == "companion" else None
    return File(name, status.st_size, status.st_mtime_ns, problem=problem)
