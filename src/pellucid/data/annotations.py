"""What tables beside images say of them: attributes, who is on each, and CelebA's own parts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from pellucid.data.attributes import Attributes, Kind, from_table
from pellucid.data.images import printable
from pellucid.data.listing import kind_of
from pellucid.data.matching import Match, match
from pellucid.data.tables import Column, Table, read_table
from pellucid.errors import DataError

MAX_CLASSES = 100
"""More different words than this in a column are text, not classes."""

_MISSING = {"", "na", "n/a", "nan", "null", "?", "-"}
_NOT_SAID = {"unknown", "none"}  # missing among numbers or yes and no; among words, a word like others
_YES_NO = {"yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}
_LARGEST = float(np.finfo(np.float32).max)
_IDENTITY, _PARTITION = "identity", "list_eval_partition"
_OWN = {"verdict", "mse", "z0"}  # columns of the tables that `detect` and `features` write
_NOT_VALUES = ("list_bbox_", "list_landmarks_")  # of CelebA: where things are, not what is seen


@dataclass(frozen=True)
class Annotations:
    """What is known of images beside their pixels.

    Attributes:
        attributes: Named values, or None.
        identity: int64 [image], who is on each, -1 where that is not known; or None.
        partition: uint8 [image], CelebA's own 0 train, 1 validation, 2 test, 255 unknown; or None.
        notes: For people: which tables were used for how many images, and which were not, and why.
    """

    attributes: Attributes | None = None
    identity: Int64[np.ndarray, " image"] | None = None
    partition: UInt8[np.ndarray, " image"] | None = None
    notes: tuple[str, ...] = ()


NOTHING_KNOWN = Annotations()


def annotate(
    tables: Mapping[str, Path],
    names: Sequence[str],
    *,
    among: Sequence[str] | None = None,
    unused: Sequence[str] = (),
) -> Annotations:
    """Read tables and match their rows to images.

    A column is binary if it holds 0 and 1, -1 and 1, yes and no, or true and false; ordinal if it holds other
    numbers; else categorical, with at most 100 different words. An empty cell, `NA`, `nan`, `null`, `?` and
    `-` are missing, and so is `unknown` among numbers or yes and no; among words it is a class. A column
    `identity` says who is on the image.

    Args:
        tables: What each is called, and where it is.
        names: Of the images, relative to their folder.
        among: All images of the folder, of which only some may be wanted: a name that could mean several of
            them means none, whichever are wanted. None: no others.
        unused: Tables that were seen and are not read, to be told.

    Raises:
        DataError: If a table of CelebA is malformed. What else cannot be used is told in the notes.
    """
    notes = list[str]()
    partition: UInt8[np.ndarray, " image"] | None = None
    gathered: dict[str, _Gathered] = {}
    used: dict[str, tuple[Table, Match]] = {}
    boxes = [label for label, path in tables.items() if path.name.startswith(_NOT_VALUES)]
    for label, path in tables.items():
        if label in boxes:
            continue
        found = _matched(label, path, names, names if among is None else among)
        if isinstance(found, str):
            notes.append(found)
            continue
        table, matched = found
        if path.stem == _PARTITION:
            partition = _partition(path, table, matched)
            notes.append(f"{printable(label)}: CelebA's own parts; {_counted(matched)}")
            continue
        used[label] = found
        for name, column in table.columns.items():
            gathered.setdefault(name, _Gathered.empty(len(names))).add(column, matched)
    who = next((name for name in gathered if name.lower() == _IDENTITY), None)
    identity = None if who is None else gathered.pop(who).known()
    measured = {name: _measure(column) for name, column in gathered.items()}
    notes += [_told(label, table, matched, measured) for label, (table, matched) in used.items()]
    if boxes or unused:
        notes.append(f"Tables that were seen and are not used: {_some([*boxes, *unused])}.")
    return Annotations(_attributes(measured), identity, partition, tuple(notes))


def _matched(label: str, path: Path, names: Sequence[str], among: Sequence[str]) -> tuple[Table, Match] | str:
    """A table and its rows of the images; or why it is not used."""
    try:
        table = read_table(path)
    except DataError as error:
        if path.stem.startswith("list_") or path.stem == "identity_CelebA":
            raise
        return f"{printable(label)}: not used. {error}"
    if _OWN & table.columns.keys():
        return f"{printable(label)}: not used, it holds what Pellucid has measured."
    folder = label.rpartition("/")[0] if path.stem == "metadata" else ""

    def matches(files: Iterable[str]) -> Match:
        return match([f"{folder}/{file}" if folder else file for file in files], among)

    if kind_of(table.key) == "image" and matches([table.key]).count:
        return (
            f"{printable(label)}: not used, its first line names an image, {printable(table.key[:60])}, and "
            "not the columns. Put a line with their names before it, as file_name,label."
        )
    matched = matches(table.files)
    row_of = dict(zip(among, matched.rows.tolist(), strict=True))
    matched = replace(matched, rows=np.array([row_of[name] for name in names], np.int64))
    return (table, matched) if matched.count else _unmatched(label, table, names, matched)


@dataclass
class _Gathered:
    """A column of one table or more, by image.

    Attributes:
        words: The different cells and their numbers.
        codes: int64 [image], -1 where no table has a row.
        rows: How many rows the tables have together.
        twice: Whether two tables have a row for the same image.
    """

    words: dict[str, int]
    codes: Int64[np.ndarray, " image"]
    rows: int = 0
    twice: bool = False

    @classmethod
    def empty(cls, images: int) -> "_Gathered":
        return cls({}, np.full(images, -1, np.int64))

    def add(self, column: Column, matched: Match) -> None:
        translated = np.array(
            [self.words.setdefault(word, len(self.words)) for word in column.words], np.int64
        )
        there = matched.rows >= 0
        self.twice |= bool((self.codes[there] >= 0).any())
        self.codes[there] = translated[column.codes[matched.rows[there]]]
        self.rows += len(column.codes)

    def known(self) -> Int64[np.ndarray, " image"]:
        """The number of each image's word, -1 where it is missing."""
        missing = [code for word, code in self.words.items() if word.casefold() in _MISSING | _NOT_SAID]
        return np.where(np.isin(self.codes, missing), -1, self.codes)


@dataclass(frozen=True)
class _Measured:
    """A column as an attribute: its kind, float32 [image] values, and the words that are its classes."""

    kind: Kind
    values: Float32[np.ndarray, " image"]
    classes: tuple[str, ...]


def _attributes(measured: Mapping[str, "_Measured | str"]) -> Attributes | None:
    kept = {name: column for name, column in measured.items() if isinstance(column, _Measured)}
    if not kept:
        return None
    values = np.stack([column.values for column in kept.values()], axis=1)
    return from_table(tuple(kept), tuple(column.kind for column in kept.values()), values)


def _partition(path: Path, table: Table, matched: Match) -> UInt8[np.ndarray, " image"]:
    column = next(iter(table.columns.values()), None)
    if column is None or not {"0", "1", "2"}.issuperset(column.words):
        raise DataError(
            f"{printable(path)}: expected 0, 1 or 2 for each image, got something else. Copy the table again."
        )
    parts = np.array([int(word) for word in column.words], np.uint8)[column.codes]
    return np.where(matched.rows >= 0, parts[matched.rows], 255).astype(np.uint8)


def _measure(column: _Gathered) -> _Measured | str:
    """What a column tells of the images, or why it is no attribute."""
    if column.twice:
        return "in two tables"
    lowered = {word: word.casefold() for word in column.words}
    known = [word for word in lowered if lowered[word] not in _MISSING]
    said = [word for word in known if lowered[word] not in _NOT_SAID]
    if not said:
        return "empty"
    numbers = {word: number for word in said if (number := _number(lowered[word])) is not None}
    classes: tuple[str, ...] = ()
    if len(numbers) == len(said):
        found = set(numbers.values())
        signs = found <= {-1, 1}
        kind: Kind = "binary" if signs or found <= {0, 1} else "ordinal"
        value_of = {word: max(number, 0.0) if signs else number for word, number in numbers.items()}
    else:
        classes = tuple(sorted(known))
        if len(classes) > MAX_CLASSES or len(classes) == column.rows:
            return "text"
        kind, value_of = "categorical", {word: float(at) for at, word in enumerate(classes)}
    values = np.array([*(value_of.get(word, np.nan) for word in column.words), np.nan], np.float32)
    return _Measured(kind, values[column.codes], classes)


def _number(word: str) -> float | None:
    if word in _YES_NO:
        return _YES_NO[word]
    try:
        number = float(word)
    except ValueError:
        return None
    return number if abs(number) <= _LARGEST else None


def _counted(matched: Match) -> str:
    text = f"{matched.count:,} of {len(matched.rows):,} images matched."
    if not matched.ambiguous:
        return text
    return (
        f"{text} Names that could mean several images, or stand more than once: {_some(matched.ambiguous)}."
    )


def _told(label: str, table: Table, matched: Match, measured: Mapping[str, _Measured | str]) -> str:
    found = {name: measured[name] for name in table.columns if name in measured}
    kept = {name: column for name, column in found.items() if isinstance(column, _Measured)}
    left_out = [f"{name} ({reason})" for name, reason in found.items() if isinstance(reason, str)]
    left_out += [f"{name} (lists or objects)" for name in table.nested]
    what = ["identities"] if len(found) < len(table.columns) else []
    if kept:
        words = [
            f"{name} is {' or '.join(column.classes)}" for name, column in kept.items() if column.classes
        ]
        count = "1 attribute" if len(kept) == 1 else f"{len(kept)} attributes"
        what.append(f"{count} ({_some(list(kept))}{f'; {_some(words)}' if words else ''})")
    text = f"{printable(label)}: {' and '.join(what) or 'no attribute'}; {_counted(matched)}"
    return f"{text} Columns not used: {_some(left_out)}." if left_out else text


def _unmatched(label: str, table: Table, names: Sequence[str], matched: Match) -> str:
    named = ", ".join(printable(file[:60]) for file in table.files[:2]) or "nothing"
    reason = "could mean several images" if matched.ambiguous else "is the name of no image"
    return (
        f"{printable(label)}: not used, 0 of {len(names):,} images matched. Its column "
        f"{printable(table.key[:60])!r} holds {named} ..., which {reason}; the images are called "
        f"{printable(names[0])} ..."
    )


def _some(items: Sequence[str]) -> str:
    shown = ", ".join(printable(item[:60]) for item in items[:5])
    return shown if len(items) <= 5 else f"{shown} and {len(items) - 5:,} more"
