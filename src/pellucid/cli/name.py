"""`pellucid name`: what a person calls a latent."""

from pellucid.cli.describing import describe
from pellucid.cli.opening import Run, only_with, open_run
from pellucid.cli.printing import print_json
from pellucid.errors import ConfigError
from pellucid.terminal import say


def name(
    run: Run,
    latent: str | None = None,
    new_name: str | None = None,
    /,
    *,
    suggest: bool = False,
    clear: bool = False,
    nuisance: bool | None = None,
    data: str | None = None,
    skip: int = 0,
    limit: int | None = None,
    groups: str | None = None,
    trust_data: bool = False,
    json: bool = False,
) -> None:
    """Name a latent, mark it as nuisance, have names suggested from attributes, or list the names.

    Args:
        run: A run directory, or `people`, the model that comes with Pellucid.
        latent: Which one: z17, 17, or its present name.
        new_name: What to call it from now on.
        suggest: Name the unnamed ones from attributes, with the evidence, marked as suggested.
        clear: Take the latent's name away.
        nuisance: Mark the latent as one that changes from picture to picture of the same thing (light, pose,
            sunglasses), so that `compare` and `gallery` leave it out of their verdict; or unmark it.
        data: With --suggest: images with attributes. Default: the held-out images of the training data.
        skip: Leave out the first images of --data by name.
        limit: Use no more than this many images of --data.
        groups: With --suggest: which images belong together, as crops of one image do: folder, name
            (equal before the last _), identity or an attribute. One of each group tells what is tracked.
        trust_data: Open the training images at the path that the run names, even if it was not trained here.
        json: Print the names as JSON.
    """
    from pellucid.latents.names import LatentTable, change_latents, mark, read_latents, rename
    from pellucid.model.directory import read_config

    only_with(
        "--suggest",
        suggest,
        data=data,
        skip=skip or None,
        limit=limit,
        groups=groups,
        trust_data=trust_data,
    )
    only_with("--data", data is not None, skip=skip or None, limit=limit)
    if suggest:
        if latent is not None or clear or nuisance is not None:
            raise ConfigError("expected either a latent or --suggest, got both.")
        model, dataset, rows = open_run(run, data, skip, limit, "auto", trust_data=trust_data)
        _, table = describe(model, dataset, rows, suggest=True, groups=groups, quiet=True)
    else:
        latents = read_config(run)[0].architecture.latents
        if latent is None and nuisance is not None:
            raise ConfigError("expected a latent to mark: pellucid name RUN z17 --nuisance.")
        if latent is not None:
            renamed = new_name is not None or clear
            if (new_name is not None and clear) or not (renamed or nuisance is not None):
                raise ConfigError(
                    "expected one of a name, --clear, --nuisance and --no-nuisance: "
                    'pellucid name RUN z17 "sunglasses".'
                )
            index = 0

            def changed(table: LatentTable) -> LatentTable:
                nonlocal index
                index = table.find(latent)
                if renamed:
                    table = rename(table, index, new_name)
                return table if nuisance is None else mark(table, index, nuisance=nuisance)

            table = change_latents(run, latents, changed)
            if table.records[index].active is False:
                say(f"Note: z{index} is inactive: tables and traversals leave it out, unless you ask for it.")
        else:
            table = read_latents(run, latents)
    named = [record for record in table.records if record.name is not None or record.nuisance]
    if json:
        print_json(
            [
                {
                    "latent": f"z{r.index}",
                    "name": r.name,
                    "suggested": r.suggested,
                    "evidence": r.evidence,
                    "nuisance": r.nuisance,
                }
                for r in named
            ]
        )
    else:
        for record in named:
            marked = "  (nuisance)" if record.nuisance else ""
            marked += f"  (suggested: {record.evidence})" if record.suggested else ""
            print(f"z{record.index:<3} {record.name or '-'}{marked}")
        if not named:
            print("No latent has a name yet.")
