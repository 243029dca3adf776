"""`pellucid latents`: the table and the report of what each latent does."""

from pellucid.cli.describing import describe, latents_record
from pellucid.cli.opening import FEWEST, Run, only_with, open_run, rows_to_measure, skipped_record
from pellucid.cli.printing import print_json
from pellucid.errors import ConfigError


def latents(
    run: Run,
    /,
    *,
    data: str | None = None,
    skip: int = 0,
    limit: int | None = None,
    suggest: bool = False,
    groups: str | None = None,
    trust_data: bool = False,
    json: bool = False,
    device: str = "auto",
) -> None:
    """Measure what each latent does, print the table, write report.html with a card for each.

    Args:
        run: A run directory.
        data: Images to measure on. Default: those of the training data that were held out.
        skip: Leave out the first images of --data by name.
        limit: Use no more than this many images of --data.
        suggest: Also name unnamed latents from the attributes that they track.
        groups: Which images belong together, as crops of one image do: folder, name (equal before the last
            _), identity or an attribute, as for `pellucid detector`. One of each group tells what is tracked.
        trust_data: Open the training images at the path that the run names, even if it was not trained here.
        json: Print the table as JSON.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    only_with("--data", data is not None, skip=skip or None, limit=limit)
    model, dataset, rows = open_run(run, data, skip, limit, device, trust_data=trust_data)
    if len(rows) < FEWEST:  # what is stored of the latents would be overwritten by nothing
        if data is not None:
            raise ConfigError(
                f"{data}: expected at least {FEWEST} images to measure, got {len(rows)}. Name more."
            )
        rows = rows_to_measure(dataset)
    cards, table = describe(model, dataset, rows, suggest=suggest, groups=groups, quiet=json)
    if json:
        print_json(latents_record(model, cards, table, len(rows)) | {"skipped": skipped_record(dataset)})
