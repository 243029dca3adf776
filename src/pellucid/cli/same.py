"""`pellucid same`: learn from known pictures what makes two of them the same identity."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from pellucid.cli.opening import Run, only_with, open_images, skipped_record
from pellucid.cli.printing import print_json, print_table
from pellucid.errors import ConfigError
from pellucid.terminal import counting_bar

if TYPE_CHECKING:
    from pellucid.comparison.known import Known
    from pellucid.comparison.same import SameModel
    from pellucid.latents.names import LatentTable

_PERSONS, _EACH = 1500, 2


def same(
    run: Run,
    data: str = "people",
    /,
    *,
    persons: int | None = None,
    each: int | None = None,
    seed: int = 0,
    json: bool = False,
    device: str = "auto",
) -> None:
    """Learn from pictures of known identities how sure `compare` and `gallery` can be; print the error rates.

    Identity latents are weighed by how much they tell identities apart, and corrected for what the nuisance
    latents do to them. Kept as same.json in the run. Run it again when marks of nuisance have changed.

    Args:
        run: A run directory whose latents have been measured, with nuisances marked.
        data: `people` for simulated people; a folder with one sub-folder of pictures for each identity; a
            folder with a table that has a column `identity`; or CelebA with its identity_CelebA.txt.
        persons: How many simulated people. Default: 1500.
        each: Pictures of each of them. Default: 2.
        seed: Decides what is simulated, and which identities are scored by a fit to which others.
        json: Print the error rates as JSON.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    import numpy as np

    from pellucid.comparison.known import learn, write_known
    from pellucid.comparison.people import known_people
    from pellucid.comparison.same import evidence_of, identities_of
    from pellucid.data.builtin import BUILTIN
    from pellucid.data.copies import without_copies
    from pellucid.latents.activity import encode_dataset
    from pellucid.latents.caution import cautions
    from pellucid.latents.names import read_latents
    from pellucid.model.directory import SAME
    from pellucid.model.predictor import load
    from pellucid.storage.writing import locked

    if data in BUILTIN and data != "people":
        raise ConfigError(f"expected people or a folder of pictures of known identities, got {data!r}.")
    only_with("DATA people", data == "people", persons=persons, each=each)
    persons, each = _PERSONS if persons is None else persons, _EACH if each is None else each
    if persons < 1 or each < 2:
        raise ConfigError(f"expected people with two pictures or more, got {persons} with {each} each.")
    model = load(run, device=device)
    table = read_latents(run, model.latents)
    evidence_of(table)  # refuses before anything is drawn or encoded
    with locked(run / SAME):
        skipped = []
        if data == "people":
            with counting_bar("drawing people") as advance:
                codes, who = known_people(model, persons, each, seed=seed, progress=advance)
            pictures = f"{each} pictures each of {persons:,} simulated people"
        else:
            dataset = open_images(model, data)
            skipped = skipped_record(dataset)
            who = identities_of(dataset.names) if dataset.identity is None else dataset.identity
            rows = without_copies(dataset, np.flatnonzero(who >= 0))  # a copy is no second picture
            if not len(rows):
                raise ConfigError(
                    f"{data}: expected images of known identities, but its table tells of none who is on it. "
                    "Fill in its column identity."
                )
            who = who[rows]
            with counting_bar("encoding images") as advance:
                codes = encode_dataset(model, dataset, rows, progress=advance)
            pictures = f"{len(rows):,} pictures of {len(np.unique(who)):,} identities"
        known = learn(codes.mean, who, table, pictures, seed=seed)
        write_known(model, known)
    doubts = cautions(model, table)
    if json:
        print_json(
            {
                "cautions": list(doubts),
                "pictures": known.pictures,
                "identity": _record(known.identity, table),
                "everything": _record(known.everything, table),
                "skipped": skipped,
            }
        )
        return
    _print(known, table, doubts)


def _record(model: "SameModel", table: "LatentTable") -> dict[str, object]:
    return {
        "latents": [table.label(latent) for latent in model.latents],
        "corrected_by": [table.label(latent) for latent in model.corrected_by],
        "rates": asdict(model.rates),
    }


def _print(known: "Known", table: "LatentTable", doubts: tuple[str, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    from pellucid.latents.caution import warned

    printed = Table(title=f"The same identity? Learned from {known.pictures}")
    for column, side in (
        ("evidence", "left"),
        ("AUC", "right"),
        ("equal error", "right"),
        ("accepted at 1 %", "right"),
    ):
        printed.add_column(column, justify=side)  # type: ignore[arg-type]
    named = ", ".join(table.label(latent) for latent in known.identity.latents)
    for evidence, model in ((named, known.identity), ("all active latents", known.everything)):
        rates = model.rates
        printed.add_row(
            evidence,
            f"{rates.auc:.3f} ({rates.auc_low:.3f}-{rates.auc_high:.3f})",
            f"{rates.equal_error:.1%} ({rates.equal_error_low:.1%}-{rates.equal_error_high:.1%})",
            f"{rates.accepted:.1%} ({rates.accepted_low:.1%}-{rates.accepted_high:.1%})",
        )
    console = Console()
    print_table(printed)
    rates = known.identity.rates
    rests_on = (
        f"On {rates.same_pairs:,} pairs of one identity and {rates.different_pairs:,} of strangers, of "
        f"{rates.identities:,} identities, each scored by a fit to others. In brackets: 95 % intervals over "
        "identities. accepted at 1 %: pairs of one identity accepted where 1 % of the strangers are."
    )
    console.print(warned(rests_on, doubts), markup=False, highlight=False)
