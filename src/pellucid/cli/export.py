"""`pellucid export`: the model and its detector as ONNX files, for programs without Python."""

from dataclasses import asdict
from pathlib import Path

from pellucid.cli.opening import Run, keep_apart
from pellucid.cli.printing import print_json
from pellucid.terminal import spinner


def export(run: Run, /, *, out: Path | None = None, json: bool = False) -> None:
    """Write encoder.onnx, decoder.onnx and detector.onnx, each checked against the model on the way.

    They begin with pixels and end in latents, losses, score and verdict; how a picture becomes pixels, the
    threshold and the latents' names are inside as metadata (docs/how-to/away-from-python.md).

    Args:
        run: A run directory. Without a detector in it, encoder and decoder are written.
        out: The folder to write. Default: `onnx` in the run.
        json: Print the files and the differences from PyTorch as JSON.
    """
    from pellucid.anomaly.storage import detector_of
    from pellucid.latents.names import table_of
    from pellucid.model.inside import inside
    from pellucid.model.predictor import load
    from pellucid.runtime.export import FOLDER
    from pellucid.runtime.export import export as write

    model = load(run, device="cpu")
    keep_apart(model, out)
    detector = detector_of(model)
    with spinner("exporting"):
        written = write(model, table_of(model), detector, out or inside(run, FOLDER))
    if json:
        agreement = {name: asdict(found) for name, found in written.agreement.items()}
        print_json({"files": [str(file) for file in written.files], "differences": agreement})
        return
    for file in written.files:
        found = written.agreement[file.name]
        worst = max(found.steps.values())
        line = f"{file}  {file.stat().st_size / 1e6:.1f} MB, every step within {worst:.1e} of PyTorch"
        print(line + (f", the score within {found.whole['score']:.1e}" if "score" in found.whole else ""))
    if detector is None:
        print(f"No detector.onnx: the run has no detector yet. Fit one: pellucid detector {run}")
