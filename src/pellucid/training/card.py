"""The model card: README.md of a run directory, for whoever finds the folder without us."""

from pathlib import Path

from pellucid.model.directory import ModelConfig
from pellucid.model.sealed import write_file
from pellucid.objective.objectives import WEIGHTS

CARD = "README.md"


def write_card(run: Path, config: ModelConfig) -> None:
    """Write what the model is, what it was trained on and how to use it."""
    built, data, training = config.architecture, config.data, config.training
    window = config.preprocessing.window
    losses = " + ".join(f"{weight:g} x {name}" for name, weight in training["objective"]["losses"].items())
    objective = training["objective"]
    weights = "".join(
        f", {name} {objective[name]}" for name in WEIGHTS[objective["name"]] if objective[name] is not None
    )
    text = f"""# A model trained by Pellucid

A variational autoencoder that describes an image of {built.size} x {built.size} pixels
({"RGB" if built.channels == 3 else "grey"}) by {built.latents} numbers, its latents.

| | |
|---|---|
| trained on | {_plain(data["description"])} |
| images | {data["train"]} for training, {data["validation"]} for validation, {data["test"]} for testing |
| objective | {training["objective"]["name"]}{weights} |
| reconstruction | {losses} |
| networks | {built.preset} |
| crop | {config.preprocessing.crop} |
| black and white | {"the ends of the data type" if window is None else f"{window[0]:g} and {window[1]:g}"} |
| training | {training["steps_taken"]} steps of {training["batch_size"]} images, \
{training["minutes_taken"]} minutes, seed {training["seed"]} |
| made by | pellucid {training["pellucid"]}, torch {training["torch"]} |

```python
import pellucid

model = pellucid.load("this folder")
codes = model.encode("photo.jpg").mean      # [1, {built.latents}]
picture = model.reconstruct("photo.jpg")    # [1, {built.channels}, {built.size}, {built.size}], in [0, 1]
```

`pellucid latents` shows what each latent does, `report.html` (if it was made) tells it to a stranger.

## Limits

The latents are what helped to rebuild these images. A name on a latent is a reading of pictures and
correlations, not a proof of cause; on images of another kind it may mean nothing. Whatever is unfair in
the images is in the model.
"""
    write_file(run / CARD, text.encode("utf-8", "backslashreplace"))


def _plain(text: str) -> str:
    """Text that is nothing but text in Markdown and HTML: what could be markup becomes a numbered entity."""
    return "".join(c if c.isalnum() or c in " ," else f"&#{ord(c)};" for c in " ".join(text.split()))
