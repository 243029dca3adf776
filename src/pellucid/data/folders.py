"""Pictures in files: a folder with all that is below it, or CelebA's layouts; with the tables beside them.

Of a picture only name, size and time are looked at; it is opened when it is decoded.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pellucid.data.annotations import Annotations, annotate
from pellucid.data.images import Crop, printable
from pellucid.data.listing import File, list_folder
from pellucid.data.roles import notes_on_roles, to_train_on
from pellucid.data.source import Item, Source, decoding_seconds, selection, title
from pellucid.data.tables import is_table
from pellucid.errors import DataError

_CELEBA_PICTURES = ("img_align_celeba", "img_align_celeba_png")


def folder(root: Path, skip: int, limit: int | None) -> Source:
    """The pictures in and below a folder, with what the tables say that lie in it.

    Read are CSV, TSV and JSON Lines in the folder itself, and `metadata.csv` or `metadata.jsonl` in any
    folder below, whose file names are relative to it, as data sets on the Hugging Face hub have them. Of
    MVTec AD's layout only what is to be trained on is read.

    Raises:
        DataError: If there are no pictures, or too many.
        ConfigError: If `skip` or `limit` leave no image.
    """
    listing = list_folder(root)
    kept, layout = to_train_on([file.name for file in listing.files])
    files = _selected(
        root, [file for file, keep in zip(listing.files, kept, strict=True) if keep], skip, limit
    )
    names = _images(files)
    tables = [name for name in listing.companions if is_table(name)]
    used = [name for name in tables if "/" not in name or _is_metadata(name)]
    known = annotate(
        {name: root / name for name in used},
        names,
        among=_images([_for_training(file) for file in listing.files]),
        unused=[name for name in tables if name not in used] + _beside(root),
    )
    notes = (*([layout] if layout else []), *notes_on_roles(names))
    source = _of_files("folder", f"photographs from {title(root)}", root, files, known)
    return replace(source, notes=notes)


def celeba(root: Path, skip: int, limit: int | None) -> Source:
    """The pictures of CelebA, with the tables that lie beside them: attributes, parts and identities.

    Raises:
        DataError: If there are no pictures, or too many, or a table is malformed.
        ConfigError: If `skip` or `limit` leave no image.
    """
    pictures = celeba_pictures(root)
    assert pictures is not None
    listed = list_folder(pictures).files
    files = _selected(pictures, listed, skip, limit)
    among = _images([_for_training(file) for file in listed])
    known = annotate(_celeba_tables(root), _images(files), among=among)
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
            tables |= {f"{below}{path.name}": path for path in inside if is_table(path.name)}
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


def _of_files(
    kind: str,
    noun: str,
    root: Path,
    files: list[File],
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
    )


def _images(files: Sequence[File]) -> list[str]:
    """The names of what can be read; the rest comes after them and is never kept."""
    return [file.name for file in files if not file.problem]


def _selected(root: Path, listed: Sequence[File], skip: int, limit: int | None) -> list[File]:
    """The images that are meant, then all that is none, each with a reason."""
    found = [_for_training(file) for file in listed]
    images = [file for file in found if not file.problem]
    others = [file for file in found if file.problem]
    if not images:
        raise DataError(
            f"{printable(root)}: expected pictures (.jpg, .png or .webp) in or below the folder, got "
            f"{_instead(others)}. Check the path."
        )
    return images[selection(len(images), skip, limit)] + others


def _for_training(file: File) -> File:
    """Shards, tables and arrays are data sets of their own."""
    if file.kind == "image":
        return file
    if file.kind == "shard":
        problem = f"is a tar shard, which is not looked into here. Unpack it: tar -xf {printable(file.name)}"
    else:
        problem = "is a data set of its own. Name it by itself"
    return replace(file, problem=f"{problem}, or leave it out.")


def _instead(others: list[File]) -> str:
    if not others:
        return "none"
    return f"none that can be read; {printable(others[0].name)}: {others[0].problem.rstrip('.')}"
