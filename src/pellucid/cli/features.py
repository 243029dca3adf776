"""`pellucid features`: what a model measures of many images, as a table."""

import time
from pathlib import Path
from typing import Literal

from pellucid.cli.opening import Run
from pellucid.cli.printing import print_json
from pellucid.cli.scoring import refuse_among_images, scoring_of, to_go_on_with
from pellucid.terminal import counting_bar, say


def features(
    run: Run,
    images: list[str],
    /,
    *,
    out: Path,
    axes: Literal["HW", "HWC", "CHW", "NHW", "NHWC", "NCHW"] | None = None,
    limit: int | None = None,
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    runtime: Literal["torch", "onnx"] = "torch",
    json: bool = False,
    device: str = "auto",
) -> None:
    """Measure images, as many as there are: losses, texture and latents, a row for each, into a table.

    Ctrl-C loses nothing: what is scored lies in a folder beside the table until all is done, and the same
    command goes on. Images that cannot be read have their row with the reason.

    Args:
        run: A run directory, or `people`, the model that comes with Pellucid.
        images: Pictures, folders, tar shards, arrays, Parquet tables or built-in sets; URLs such as
            s3://bucket/photos/ or https://host/shard-*.tar, where fsspec has the package for it.
        out: The table to write: .csv, .parquet, or .npz, which is held in memory until then.
        axes: What the axes of a .npy or .npz are, where their lengths do not tell: N images, H height, W
            width, C channels.
        limit: Use no more than this many images in all, the first ones.
        engine: `ray` scores on the cluster that Ray finds, with the same result.
        workers: Processes. Default: one a processor, if that pays.
        runtime: `onnx` computes by ONNX Runtime, on the CPU.
        json: Print a summary as JSON.
        device: auto, cpu, cuda, cuda:1 or mps.
    """
    from pellucid.data.dataset import left_out
    from pellucid.model.predictor import load
    from pellucid.scoring.table import writing_table

    began = time.monotonic()
    refuse_among_images(run, load(run, device="cpu"), images, out)
    scoring, scorer = scoring_of(run, images, axes, limit, engine, workers, runtime, device, out)
    count, unread = 0, list[tuple[str, str]]()
    writing = writing_table(out, scorer.columns)
    with to_go_on_with(scoring, out), counting_bar("measuring") as advance, writing as add:
        for part in scoring.run(advance):
            add(part, None)
            count += len(part)
            unread += [(name, why) for name, why in zip(part.names, part.problems, strict=True) if why]
    seconds = time.monotonic() - began
    if unread:
        say(left_out([name for name, _ in unread]))
    if json:
        skipped = [{"name": name, "reason": reason} for name, reason in unread]
        print_json({"images": count, "seconds": seconds, "table": str(out), "skipped": skipped})
        return
    left = f", {len(unread):,} of them unreadable" if unread else ""
    print(f"{count:,} images{left}, {count / seconds:,.0f} a second: {out}")
