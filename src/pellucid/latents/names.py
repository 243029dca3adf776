"""What people call the latents: kept in latents.json with the measurements and evidence beside them."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pellucid.drawn import Tabled
from pellucid.errors import LatentError, RunError
from pellucid.latents.activity import Activity
from pellucid.latents.spelling import clean, hides, key, like_a_number, skeleton, visible
from pellucid.latents.tracking import Tracking, best_of_each
from pellucid.model.predictor import Model
from pellucid.model.sealed import read_sealed, write_sealed
from pellucid.storage.writing import SOON, locked

LATENTS = "latents.json"
FORMAT = "pellucid-latents"
VERSION = 1
MAX_NAME = 60
MAX_EVIDENCE = 300
MIN_AUC = 0.70
MIN_CORRELATION = 0.5
MIN_POSITIVES = 10


@dataclass(frozen=True)
class LatentRecord:
    """What is known of one latent; None where it has not been measured or named.

    Attributes:
        index: Its number.
        name: What people call it.
        suggested: Whether Pellucid proposed the name rather than a person.
        evidence: What the suggestion rests on.
        kl: Nats per image.
        variance: Of the posterior mean.
        active: KL > 0.1 nat and variance > 0.01.
        low: 1 % quantile of the posterior mean.
        high: 99 % quantile of the posterior mean.
        nuisance: Whether a person said that it changes from picture to picture of the same thing, such as
            light: comparisons leave it out of the verdict.
    """

    index: int
    name: str | None = None
    suggested: bool = False
    evidence: str | None = None
    kl: float | None = None
    variance: float | None = None
    active: bool | None = None
    low: float | None = None
    high: float | None = None
    nuisance: bool = False


@dataclass(frozen=True)
class LatentTable(Tabled):
    """All latents of a model, in the order of their numbers.

    Attributes:
        records: One for each latent.
    """

    records: tuple[LatentRecord, ...]

    def label(self, latent: int) -> str:
        """How a latent is called in figures and tables: `z17 sunglasses`, or `z17` without a name."""
        name = self.records[latent].name
        return f"z{latent} {name}" if name else f"z{latent}"

    def order(self) -> list[int]:
        """All latents, the one with the largest KL first; those not measured last."""
        measured = [(-record.kl if record.kl is not None else 1.0, record.index) for record in self.records]
        return [index for _, index in sorted(measured)]

    def active(self) -> list[int]:
        """The active latents, the one with the largest KL first; none before they are measured."""
        return [index for index in self.order() if self.records[index].active]

    def identity(self) -> list[int]:
        """The active latents that are not marked as nuisance, the one with the largest KL first."""
        return [index for index in self.active() if not self.records[index].nuisance]

    def find(self, latent: str) -> int:
        """The index of `z17`, `17` or a name, in whatever case.

        Raises:
            LatentError: If there is no such latent.
        """
        text = clean(latent)
        number = re.fullmatch(r"[zZ]?([0-9]{1,4})", text)
        if number and int(number[1]) < len(self.records):
            return int(number[1])
        by_name = {key(record.name): record.index for record in self.records if record.name}
        if key(text) in by_name:
            return by_name[key(text)]
        near = get_close_matches(key(text[:MAX_NAME]), by_name, n=1)
        hint = (
            f" Did you mean {self.label(by_name[near[0]])!r}?"
            if near
            else " List them: pellucid latents RUN."
        )
        raise LatentError(
            f"expected z0 to z{len(self.records) - 1} or a latent's name, got {text[:MAX_NAME]!r}.{hint}"
        )


def _refusal(table: LatentTable, latent: int, name: str) -> str | None:
    """Why a clean name may not be given to a latent, or None if it may."""
    if not 1 <= len(name) <= MAX_NAME:
        return f"expected a name of 1 to {MAX_NAME} characters, got {len(name)}. Choose a short one."
    if not visible(name):
        return f"expected a name of visible characters, got {name!a}. Leave the others out."
    if like_a_number(name):
        return f"expected a name that is not a latent's number, got {name!r}. Say what the latent does."
    for record in table.records:
        if record.index == latent or not record.name:
            continue
        if key(record.name) == key(name):
            return (
                f"expected a new name, but {name!r} is what z{record.index} is called. Rename that one first."
            )
        if skeleton(record.name) == skeleton(name):
            return (
                f"expected a name that looks like no other, but {name!r} ({name!a}) looks like that of "
                f"z{record.index}. Choose another one."
            )
    return None


def rename(
    table: LatentTable, latent: int, name: str | None, *, suggested: bool = False, evidence: str | None = None
) -> LatentTable:
    """Give a latent a name, or take it away with None.

    Args:
        table: The names so far.
        latent: Its index.
        name: 1 to 60 visible characters that do not look like any other latent's name, and not like a
            number such as `z3`. Stored in Unicode's form NFC, with single blanks.
        suggested: Whether it is Pellucid's proposal.
        evidence: What a proposal rests on.

    Raises:
        LatentError: If there is no such latent, or the name is refused.
    """
    cleaned = None if name is None else clean(name)
    _check_there(table, latent)
    if cleaned is not None and (reason := _refusal(table, latent, cleaned)):
        raise LatentError(reason)
    return _changed(table, latent, name=cleaned, suggested=suggested, evidence=evidence)


def mark(table: LatentTable, latent: int, *, nuisance: bool) -> LatentTable:
    """Say whether a latent is a nuisance: whether it changes from picture to picture of the same thing.

    Args:
        table: The names and marks so far.
        latent: Its index.
        nuisance: True for what comparisons are to leave out (light, pose, sunglasses), False for identity.

    Raises:
        LatentError: If there is no such latent.
    """
    _check_there(table, latent)
    return _changed(table, latent, nuisance=nuisance)


def _check_there(table: LatentTable, latent: int) -> None:
    if not 0 <= latent < len(table.records):
        raise LatentError(f"expected a latent from z0 to z{len(table.records) - 1}, got z{latent}.")


def _changed(table: LatentTable, latent: int, **changes: Any) -> LatentTable:
    record = replace(table.records[latent], **changes)
    return LatentTable((*table.records[:latent], record, *table.records[latent + 1 :]))


def with_activity(table: LatentTable, activity: Activity) -> LatentTable:
    """The same names with new measurements beside them.

    Raises:
        LatentError: If the measurements are of another number of latents.
    """
    if len(activity.kl) != len(table.records):
        raise LatentError(f"expected {len(table.records)} latents to be measured, got {len(activity.kl)}.")
    return LatentTable(
        tuple(
            replace(
                record,
                kl=float(activity.kl[record.index]),
                variance=float(activity.variance[record.index]),
                active=bool(activity.active[record.index]),
                low=float(activity.low[record.index]),
                high=float(activity.high[record.index]),
            )
            for record in table.records
        )
    )


def suggest(table: LatentTable, trackings: Sequence[Tracking]) -> LatentTable:
    """Name latents after the attributes that they track; a name that a person gave is never touched.

    Every attribute proposes the one latent that tracks it best on the half of the images that chooses; of
    its proposals a latent takes the strongest. A proposal counts from an AUC of 0.70 or a correlation of 0.5
    on that half, if at most 5 % of samples without anything to be found would give any such proposal (all
    latents, attributes and classes counted), and if the 95 % interval on the other half leaves chance out,
    with 10 images in each class. The evidence is what the other half says, which may be less. Inactive
    latents take no part. Earlier suggestions are replaced.

    Args:
        table: The names so far.
        trackings: What `track` found.
    """
    for record in table.records:
        if record.suggested:
            table = rename(table, record.index, None)
    for tracking in best_of_each([one for one in trackings if table.records[one.latent].active is not False]):
        name = readable(tracking.attribute)
        free = table.records[tracking.latent].name is None and not hides(tracking.attribute)
        if free and _convincing(tracking) and not _refusal(table, tracking.latent, name):
            evidence = tracking.describe()[:MAX_EVIDENCE]
            table = rename(table, tracking.latent, name, suggested=True, evidence=evidence)
    return table


def readable(attribute: str) -> str:
    """Spell an attribute's name as the name of a latent."""
    return clean(" ".join(attribute.replace("_", " ").lower().split()))


def _convincing(tracking: Tracking) -> bool:
    if tracking.statistic == "AUC":
        positives = tracking.positives or 0
        enough = tracking.strength >= 2 * MIN_AUC - 1
        enough &= MIN_POSITIVES <= positives <= tracking.images - MIN_POSITIVES
    else:
        enough = tracking.strength >= MIN_CORRELATION
    return enough and tracking.above_chance


def change_latents(run: Path, latents: int, change: Callable[[LatentTable], LatentTable]) -> LatentTable:
    """Read latents.json, change it and write it while no other program does, so that no name is lost.

    Args:
        run: The run's folder.
        latents: How many latents its model has.
        change: Makes the new table from the one that is there; what it raises leaves that as it is.

    Returns:
        The new table.

    Raises:
        BusyError: If another program does not let go of the file.
        RunError: If it is damaged, from a newer version, or of another model.
    """
    with locked(run / LATENTS, patience=SOON):
        table = change(read_latents(run, latents))
        write_latents(run, table)
    return table


def write_latents(run: Path, table: LatentTable) -> None:
    """Write latents.json in the run's folder; a kill at any moment leaves the old one or the new one.

    Whatever is there is replaced: `change_latents` keeps what others wrote meanwhile.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "latents": [asdict(record) for record in table.records],
    }
    with locked(run / LATENTS, patience=SOON):
        write_sealed(run / LATENTS, content)


def read_latents(run: str | os.PathLike[str], latents: int) -> LatentTable:
    """Read and check latents.json; without one, no latent has a name.

    Args:
        run: The run's folder.
        latents: How many latents its model has.

    Raises:
        RunError: If it is damaged, from a newer version, or of another model.
    """
    path = Path(run) / LATENTS
    nameless = LatentTable(tuple(LatentRecord(index) for index in range(latents)))
    if not path.exists():
        return nameless
    content = read_sealed(path)
    if (content.pop("format", None), content.pop("version", None)) != (FORMAT, VERSION):
        raise RunError(f"{path}: expected {FORMAT} of version {VERSION}. Update Pellucid to read it.")
    records = content.pop("latents", None)
    if content:
        raise RunError(
            f"{path}: unknown keys {', '.join(sorted(content))[:200]!r}. Update Pellucid to read it."
        )
    if not isinstance(records, list) or len(records) != latents:
        raise RunError(f"{path}: expected a list of the model's {latents} latents. Restore it from a copy.")
    table = nameless
    for index, record in enumerate(records):
        reason = _malformed(table, index, record)
        if reason:
            raise RunError(
                f"{path}: z{index}: {reason} Restore it from a copy, or delete it to lose the names."
            )
        table = LatentTable((*table.records[:index], LatentRecord(**record), *table.records[index + 1 :]))
    return table


def table_of(model: Model) -> LatentTable:
    """What the model's run says of its latents; nothing where it has no run."""
    if model.directory is not None:
        return read_latents(model.directory, model.latents)
    return LatentTable(tuple(LatentRecord(index) for index in range(model.latents)))


def _malformed(table: LatentTable, index: int, record: Any) -> str | None:
    """What is wrong with one entry of latents.json, or None; `table` holds the entries before it."""
    if not isinstance(record, Mapping) or set(record) != {field.name for field in fields(LatentRecord)}:
        return "expected exactly the keys of a latent."
    for field in fields(LatentRecord):
        # bool is a kind of int, and 1 == True: compare types, not values
        if type(record[field.name]) not in _TYPES[field.name]:
            return f"expected {field.name!r} of another type, got {type(record[field.name]).__name__}."
    if record["index"] != index:
        return f"expected the latents in order, got z{record['index']}."
    name, evidence = record["name"], record["evidence"]
    if name is not None and (name != clean(name) or _refusal(table, index, name)):
        return f"the name {name[:MAX_NAME]!r} is refused."
    if evidence is not None and (len(evidence) > MAX_EVIDENCE or hides(evidence)):
        return f"expected evidence of at most {MAX_EVIDENCE} printable characters."
    if record["variance"] is not None and record["variance"] < 0:
        return "expected a variance of 0 or more."
    low, high = record["low"], record["high"]
    if (low is None) != (high is None) or (low is not None and low > high):
        return "expected a range from low to high."
    return None


_TYPES: dict[str, tuple[type, ...]] = {
    "index": (int,),
    "name": (str, type(None)),
    "suggested": (bool,),
    "evidence": (str, type(None)),
    "kl": (float, type(None)),
    "variance": (float, type(None)),
    "active": (bool, type(None)),
    "low": (float, type(None)),
    "high": (float, type(None)),
    "nuisance": (bool,),
}
