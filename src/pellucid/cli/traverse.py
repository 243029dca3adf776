"""`pellucid traverse`: a figure of what happens when a latent moves."""

from pathlib import Path

from pellucid.cli.opening import Run, keep_apart, only_with, open_run
from pellucid.errors import ConfigError

_SEEDS = 8


def traverse(
    run: Run,
    /,
    *,
    out: Path,
    image: list[Path] | None = None,
    latent: list[str] | None = None,
    seeds: int | None = None,
    low: float = -3.0,
    high: float = 3.0,
    steps: int = 9,
    data: str | None = None,
    trust_data: bool = False,
    device: str = "auto",
) -> None:
    """Draw what happens when a latent moves: the paper's two layouts.

    Without --latent, rows are the active latents of one image (--image, or the prior's mean).
    With one --latent, rows are seed images (each --image, or held-out images of the training data).

    Args:
        run: A run directory, or `people`, the model that comes with Pellucid.
        out: The figure to write: .png, .pdf or .gif.
        image: A photograph to start from; may be given several times with one --latent.
        latent: A latent by number or name; given several times: the rows of the first layout.
        seeds: How many held-out images, where one --latent is given without --image. Default: 8.
        low: Where each sweep starts.
        high: Where each sweep ends.
        steps: Pictures in a row.
        data: Where held-out images come from. Default: the training data.
        trust_data: Open the training images at the path that the run names, even if it was not trained here.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    from pellucid.latents.names import read_latents
    from pellucid.latents.traverse import traverse_latents, traverse_seeds
    from pellucid.model.predictor import load
    from pellucid.report.figures import save_traversal

    if seeds is not None and seeds < 1:
        raise ConfigError(f"--seeds: expected 1 or more, got {seeds}. Leave it out for 8.")
    model = load(run, device=device)
    table = read_latents(run, model.latents)
    chosen = [table.find(text) for text in latent or []]
    only_with("exactly one --latent and no --image", len(chosen) == 1 and not image, data=data, seeds=seeds)
    keep_apart(model, out, *(image or []), *([] if data is None else [data]))
    if len(chosen) == 1:
        if image:
            photos = model.to_tensor([*image])
        else:
            model, dataset, rows = open_run(run, data, 0, None, device, trust_data=trust_data)
            count = seeds or _SEEDS
            photos = dataset.batch(rows[:: max(1, len(rows) // count)][:count])
        traversal = traverse_seeds(
            model, table, photos=photos, latent=chosen[0], low=low, high=high, steps=steps
        )
    else:
        if image and len(image) > 1:
            raise ConfigError("expected one --image, whose latents are the rows, or exactly one --latent.")
        photo = model.to_tensor(image[0]) if image else None
        traversal = traverse_latents(
            model, table, photo=photo, latents=chosen or None, low=low, high=high, steps=steps
        )
    save_traversal(traversal, out)
    print(out)
