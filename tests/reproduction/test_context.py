import pytest

from pellucid.reproduction.context import unhurried
from pellucid.training.config import TrainingConfig


@pytest.mark.parametrize(("minutes", "alignments", "validations"), [(0.1, 1, 1), (2.0, 4, 4), (60.0, 9, 20)])
def test_short_trainings_are_not_spent_on_looking_at_them(
    minutes: float, alignments: int, validations: int
) -> None:
    config = unhurried(TrainingConfig(minutes=minutes, alignments=9))
    assert (config.alignments, config.validations) == (alignments, validations)


def test_what_is_never_aligned_stays_so_and_steps_are_left_alone() -> None:
    assert unhurried(TrainingConfig(minutes=1, alignments=0)).alignments == 0
    assert unhurried(TrainingConfig(steps=5, alignments=9)).alignments == 9
