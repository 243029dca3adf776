"""`pellucid name`: what a person calls a latent."""

from pathlib import Path

from pellucid.cli.describing import describe
from pellucid.cli.opening import open_run
from pellucid.cli.printing import print_json
from pellucid.errors import ConfigError
from pellucid.terminal import say


def name(
    run: Path,
    latent: str | None = None,
    new_name: str | None = None,
    /,
    *,
    suggest: bool = False,
    clear: bool = False,
    data: str | None = None,
    skip: int = 0,
    limit: int | None = None,
    json: bool = False,
) -> None:
    """Name a latent, have names suggested from the attributes that latents track, or list the names.

    Args:
        run: A run directory.
        latent: Which one: z17, 17, or its present name.
        new_name: What to call it from now on.
        suggest: Name the unnamed ones from attributes, with the evidence, marked as suggested.
        clear: Take the latent's name away.
        data: With --suggest: images with attributes. Default: the held-out images of the training data.
        skip: Leave out the first images of --data by name.
        limit: Use no more than this many images of --data.
        json: Print the names as JSON.
    """
    from pellucid.latents.names import read_latents, rename, write_latents
    from pellucid.model.directory import read_config

    if suggest:
        if latent is not None or clear:
            raise ConfigError("expected either a latent or --suggest, got both.")
        model, dataset, rows = open_run(run, data, skip, limit, "auto")
        _, table = describe(model, dataset, rows, suggest=True, quiet=True)
    else:
        config, _ = read_config(run)
        table = read_latents(run, config.architecture.latents)
        if latent is not None:
            if (new_name is None) != clear:
                raise ConfigError('expected a name or --clear: pellucid name RUN z17 "sunglasses".')
            index = table.find(latent)
            table = rename(table, index, None if clear else new_name)
            write_latents(run, table)
            if table.records[index].active is False:
                say(f"Note: z{index} is inactive: tables and traversals leave it out, unless you ask for it.")
    named = [record for record in table.records if record.name is not None]
    if json:
        print_json(
            [
                {"latent": f"z{r.index}", "name": r.name, "suggested": r.suggested, "evidence": r.evidence}
                for r in named
            ]
        )
    else:
        for record in named:
            marked = f"  (suggested: {record.evidence})" if record.suggested else ""
            print(f"z{record.index:<3} {record.name}{marked}")
        if not named:
            print("No latent has a name yet.")
