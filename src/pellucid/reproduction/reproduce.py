"""The whole study: part after part, each kept when it is done, then one page and one file of numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pellucid
from pellucid.latents.names import LATENTS
from pellucid.model.directory import read_config
from pellucid.model.inside import inside
from pellucid.model.sealed import write_file, write_sealed
from pellucid.reproduction.catalogue import CATALOGUE, parts_named
from pellucid.reproduction.claims import Claim
from pellucid.reproduction.context import RUNS, Context
from pellucid.reproduction.exhibit import Part, numbered
from pellucid.reproduction.page import CITATION, all_claims, render_page
from pellucid.reproduction.plan import recipes, subject_of
from pellucid.reproduction.settings import Settings, keep_settings
from pellucid.reproduction.storage import read_part, write_part
from pellucid.reproduction.watching import SILENT, Watch
from pellucid.storage.writing import locked_folder

PAGE, RESULTS = "report.html", "results.json"


@dataclass(frozen=True)
class Reproduction:
    """What a reproduction has come to.

    Attributes:
        out: The report's folder, with report.html and results.json.
        settings: What it was told.
        parts: Those that are computed, by name.
    """

    out: Path
    settings: Settings
    parts: Mapping[str, Part]

    @property
    def claims(self) -> tuple[Claim, ...]:
        """In the paper's order."""
        return all_claims(self.parts)

    @property
    def missing(self) -> tuple[str, ...]:
        """Parts that are not computed."""
        return tuple(name for name in CATALOGUE if name not in self.parts)

    def record(self) -> dict[str, Any]:
        """All numbers and claims as JSON types."""
        return {
            "paper": CITATION,
            "version": pellucid.__version__,
            "settings": {
                **asdict(self.settings),
                "data": self.settings.data and Path(self.settings.data).name,
            },
            "claims": [{**asdict(claim), "figures": list(claim.figures)} for claim in self.claims],
            "parts": {
                name: {
                    "figures": numbered(CATALOGUE[name].figures),
                    "numbers": dict(self.parts[name].numbers),
                }
                for name in CATALOGUE
                if name in self.parts
            },
            "missing": list(self.missing),
        }


def reproduce(
    out: Path,
    settings: Settings,
    *,
    parts: Sequence[str] | None = None,
    watch: Watch = SILENT,
    device: str = "auto",
) -> Reproduction:
    """Compute the parts that are not there yet, training models as they are needed, and write the report.

    Ctrl-C loses the part at hand only; a training at hand goes on where it was. The page and results.json are
    written after every part.

    Args:
        out: The report's folder: new, or begun with the same settings.
        settings: What to do.
        parts: Which parts, by name; None takes all.
        watch: Told of progress.
        device: Where models compute.

    Raises:
        ConfigError: If there is no such part, or `out` was begun with other settings.
        DataError: If the images are missing, or too few.
        TrainingError: If a training diverges.
        BusyError: If another program works on `out`.
        KeyboardInterrupt: If it is stopped.
    """
    chosen = parts_named(tuple(CATALOGUE) if parts is None else parts)
    with locked_folder(out):
        return _reproduce(Context(out, settings, watch=watch, device=device), chosen)


def _reproduce(context: Context, chosen: Sequence[str]) -> Reproduction:
    out, settings = context.out, context.settings
    keep_settings(out, settings)
    finished = {name: part for name in CATALOGUE if (part := read_part(out, name)) is not None}
    for name in chosen:
        if name in finished:
            continue
        entry = CATALOGUE[name]
        context.watch.say(
            f"{numbered(entry.figures) or 'After Fig 10'}: {entry.title[0].lower()}{entry.title[1:]}"
        )
        part = entry.make(context)
        write_part(out, part)
        finished[name] = part
        _write(Reproduction(out, settings, finished))
    done = Reproduction(out, settings, finished)
    _write(done)
    return done


def _write(reproduction: Reproduction) -> None:
    write_sealed(reproduction.out / RESULTS, reproduction.record())
    page = render_page(reproduction.settings, reproduction.parts, _images_seen(reproduction))
    write_file(reproduction.out / PAGE, page.encode())


def _images_seen(reproduction: Reproduction) -> dict[str, int]:
    """How many images each trained model has seen: minutes mean little without the machine's speed."""
    seen = {}
    for recipe in recipes(subject_of(reproduction.settings)):
        run = inside(reproduction.out, Path(RUNS) / recipe.name)
        if (run / LATENTS).is_file():
            images = read_config(run)[0].training.get("images_seen")
            if type(images) is int:
                seen[recipe.name] = images
    return seen
