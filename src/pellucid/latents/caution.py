"""What makes every answer of a model doubtful: it was hardly trained, or it hardly uses its latents."""

from pellucid.latents.names import LatentTable
from pellucid.model.predictor import Model

MIN_IMAGES_SEEN = 10_000
"""Images, counted as often as they are shown, below which a model has hardly been trained."""

MIN_ACTIVE = 3
"""Active latents below which a code says next to nothing."""

_LARGEST = 2**53  # a config may say anything


def cautions(model: Model, table: LatentTable) -> tuple[str, ...]:
    """Say in plain words why a model's answers mean little; empty where nothing is known against them.

    Args:
        model: Its config says how many images it was shown.
        table: Its latents: which are active, if they have been measured.
    """
    training, found = model.config.training, []
    seen, steps = training.get("images_seen"), training.get("steps_taken")
    if type(seen) is int and 0 <= seen < MIN_IMAGES_SEEN:
        after = f" in {steps:,} steps" if type(steps) is int and 0 <= steps < _LARGEST else ""
        found.append(f"the model has been trained on only {seen:,} images{after}")
    measured = [record for record in table.records if record.active is not None]
    active = len(table.active())
    if measured and active < MIN_ACTIVE:
        some = "none" if not active else f"only {active}"
        verb = "is" if active <= 1 else "are"
        found.append(f"{some} of {len(table.records)} latents {verb} active")
    return tuple(found)


def warned(sentence: str, cautions: tuple[str, ...]) -> str:
    """A sentence with what makes it doubtful behind it."""
    return f"{sentence} Caution: {'; '.join(cautions)}." if cautions else sentence
