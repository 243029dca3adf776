"""What the commands that score many images share: from their options to a scoring."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pellucid.cli.opening import keep_apart
from pellucid.data.paths import refuse_inside
from pellucid.errors import ConfigError
from pellucid.storage.writing import locked
from pellucid.terminal import counting_bar, say

if TYPE_CHECKING:
    from pellucid.data.axes import Axes
    from pellucid.model.predictor import Model
    from pellucid.scoring.score import Scoring
    from pellucid.scoring.scorer import Scorer


def refuse_among_images(run: Path, model: "Model", images: Sequence[str], *outputs: Path | None) -> None:
    """Refuse a run and outputs that lie among the images: at the start, before anything else can be wrong.

    Raises:
        ConfigError: Naming the one that does.
    """
    refuse_inside(run, images)
    for output in outputs:
        keep_apart(model, output, *images)


def scoring_of(
    run: Path,
    images: Sequence[str],
    axes: "Axes | None",
    limit: int | None,
    engine: Literal["local", "ray"],
    workers: int | None,
    runtime: Literal["torch", "onnx"],
    device: str,
    table: Path | None,
    *,
    columns: Sequence[str] | None = None,
) -> "tuple[Scoring, Scorer]":
    """A scoring of all that is named, and this process's scorer; parts are kept beside the table, if any.

    Some columns are measured, or all of them.

    Raises:
        ConfigError: If ONNX Runtime is asked to compute on another device than the CPU.
    """
    from pellucid.scoring.inputs import find_inputs
    from pellucid.scoring.score import Scoring
    from pellucid.scoring.scorer import recipe_of, scorer_of

    if runtime == "onnx" and device not in ("auto", "cpu"):
        raise ConfigError(f"--device {device}: ONNX Runtime computes on the CPU here. Leave one of them out.")
    recipe = recipe_of(str(run), device, runtime, columns=columns)
    scorer = scorer_of(recipe)
    with counting_bar("reading images") as advance:
        preprocessing = scorer.model.config.preprocessing
        inputs = find_inputs(images, preprocessing, axes=axes, limit=limit, progress=advance)
    for note in inputs.notes:
        say(f"Note: {note}")
    keep = None if table is None else table.with_name(f"{table.name}.parts")
    return Scoring(inputs, recipe, engine, workers, keep), scorer


@contextmanager
def to_go_on_with(scoring: "Scoring", table: Path | None) -> Iterator[None]:
    """Locks the table, says at a Ctrl-C what is kept of it, and deletes that when all is done."""
    with ExitStack() as held:
        if table is not None:
            held.enter_context(locked(table))
        try:
            yield
        except KeyboardInterrupt:
            if scoring.keep is not None and scoring.keep.exists():
                say(f"\nWhat is scored is kept in {scoring.keep}. Go on with the same command.")
            raise
        scoring.finish()
