"""Parts on disk: sealed numbers and texts, with the pictures beside them, checked when they are read."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pellucid
from pellucid.errors import RunError
from pellucid.model.inside import inside
from pellucid.model.sealed import read_sealed, write_file, write_sealed
from pellucid.reproduction.claims import Claim
from pellucid.reproduction.exhibit import Exhibit, Part, Picture, Table
from pellucid.storage.regular import read_regular

PARTS = "parts"
FORMAT = "pellucid-reproduction-part"
VERSION = 1
_LARGEST = 64 << 20


def write_part(out: Path, part: Part) -> None:
    """Write pictures, then the part's JSON: a kill at any moment leaves a part that is whole, or none."""
    exhibits = []
    for exhibit in part.exhibits:
        record = asdict(exhibit)
        record["pictures"] = [_write_picture(out, part.name, picture) for picture in exhibit.pictures]
        exhibits.append(record)
    content = {
        "format": FORMAT,
        "version": VERSION,
        "pellucid": pellucid.__version__,
        "name": part.name,
        "exhibits": exhibits,
        "numbers": dict(part.numbers),
    }
    write_sealed(_record(out, part.name), content)


def _write_picture(out: Path, part: str, picture: Picture) -> dict[str, Any]:
    record: dict[str, Any] = {"name": picture.name, "alt": picture.alt}
    for paper, content in (("light", picture.light), ("dark", picture.dark)):
        record[paper] = None
        if content is not None:
            write_file(_file(out, part, picture.name, paper), content)
            record[paper] = hashlib.sha256(content).hexdigest()
    return record


def _file(out: Path, part: str, picture: str, paper: str) -> Path:
    return inside(out, PARTS) / f"{part}-{picture}{'-dark' if paper == 'dark' else ''}.png"


def _record(out: Path, part: str) -> Path:
    return inside(out, Path(PARTS) / f"{part}.json")


def read_part(out: Path, name: str) -> Part | None:
    """A part that is finished; None if it is not, is damaged or of another version: it is computed anew.

    Parts of another version of Pellucid count as such: its numbers may be others. The models are kept.
    """
    record = _record(out, name)
    if not record.is_file():
        return None
    try:
        content = read_sealed(record)
        kind = (content["format"], content["version"], content["pellucid"], content["name"])
        if kind != (FORMAT, VERSION, pellucid.__version__, name):
            return None
        exhibits = tuple(_exhibit(out, name, record) for record in content["exhibits"])
        return Part(name, exhibits, dict(content["numbers"]))
    except (RunError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _exhibit(out: Path, part: str, record: Mapping[str, Any]) -> Exhibit:
    return Exhibit(
        **{
            **record,
            "figures": tuple(record["figures"]),
            "here": tuple(record["here"]),
            "pictures": tuple(_picture(out, part, picture) for picture in record["pictures"]),
            "tables": tuple(
                Table(t["caption"], tuple(t["head"]), tuple(tuple(row) for row in t["rows"]))
                for t in record["tables"]
            ),
            "claims": tuple(
                Claim(**{**claim, "figures": tuple(claim["figures"])}) for claim in record["claims"]
            ),
        }
    )


def _picture(out: Path, part: str, record: Mapping[str, Any]) -> Picture:
    if not re.fullmatch(r"[a-z0-9-]{1,80}", record["name"]):
        raise ValueError("a picture's name is not one of ours")
    content: dict[str, bytes | None] = {}
    for paper in ("light", "dark"):
        found = (
            None
            if record[paper] is None
            else _checked(_file(out, part, record["name"], paper), record[paper])
        )
        content[paper] = found
    if content["light"] is None:
        raise ValueError("a picture is missing")
    return Picture(record["name"], record["alt"], content["light"], content["dark"])


def _checked(file: Path, sha256: str) -> bytes:
    content = read_regular(file, max_bytes=_LARGEST)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("a picture has changed")
    return content
