"""When work beside the steps is due, on a clock of its own."""

import time
from dataclasses import replace

import pytest

from pellucid.training import pace
from pellucid.training.config import TrainingConfig
from pellucid.training.pace import Aside, Meter, Work

STEPS = TrainingConfig(steps=1000, alignments=9, validations=20, checkpoint_minutes=1.0)
MINUTES = replace(STEPS, steps=None, minutes=4.0)


class Clock:
    """Stands in for the time module."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace, "time", clock)
    return clock


def spent(config: TrainingConfig, clock: Clock, *, step: float, cost: float) -> tuple[dict[Work, int], float]:
    """How often each work was done in four minutes, and the share of the time that all took."""
    aside, begin, fraction, counts, total = Aside(config, 0.0), clock.now, 0.0, dict.fromkeys(Work, 0), 0.0
    while fraction < 1:
        clock.now += step
        seconds = clock.now - begin
        before, fraction = fraction, min(1.0, seconds / 240)
        for work in aside.due(before, fraction, seconds):
            counts[work] += 1
            with aside.timed(work):
                clock.now += cost
            total += cost
    return counts, total / (clock.now - begin)


@pytest.mark.parametrize("step", [0.2, 5.0])
@pytest.mark.parametrize("cost", [0.5, 3.0, 10.0])
def test_of_a_budget_in_minutes_at_most_a_tenth_goes_aside(clock: Clock, step: float, cost: float) -> None:
    counts, share = spent(MINUTES, clock, step=step, cost=cost)
    assert (
        share <= 0.1 + 2 * cost / 240
    )  # the first of a kind, whose cost nobody knows, and the last validation
    assert counts[Work.VALIDATE] >= 1
    assert counts[Work.ALIGN] >= 1


def test_where_it_costs_little_everything_is_done_as_often_as_asked(clock: Clock) -> None:
    counts, _ = spent(MINUTES, clock, step=0.1, cost=0.01)
    assert counts == {Work.ALIGN: 9, Work.VALIDATE: 20, Work.SAVE: 3}


def test_of_a_budget_in_steps_nothing_is_put_off(clock: Clock) -> None:
    aside = Aside(STEPS, 0.0)
    done = []
    for step in range(1000):
        clock.now += 0.001
        due = aside.due(step / 1000, (step + 1) / 1000, clock.now - 100)
        done += [(step + 1, work) for work in due if work is not Work.SAVE]
        for work in due:
            with aside.timed(work):
                clock.now += 30
    assert [step for step, work in done if work is Work.ALIGN] == list(range(100, 1000, 100))
    assert [step for step, work in done if work is Work.VALIDATE] == list(range(50, 1001, 50))


def test_images_a_second_count_training_alone() -> None:
    meter = Meter()
    meter.add({})
    with meter.paused():
        time.sleep(0.3)
    _, rate = meter.read(64)
    assert rate > 64 / 0.2
