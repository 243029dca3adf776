"""Which run of a sweep to use: a rule that can be told in one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, variance

from pellucid.sweep.grid import SYMBOLS
from pellucid.sweep.results import Choice, RunResult


@dataclass(frozen=True)
class _Value:
    """One value of the varied setting and its runs, one a seed."""

    value: float
    runs: tuple[RunResult, ...]
    score: str

    @property
    def scores(self) -> list[float]:
        return [run.scores[self.score] for run in self.runs]

    @property
    def median(self) -> float:
        return median(self.scores)

    @property
    def reconstruction(self) -> float:
        return median(run.reconstruction for run in self.runs)

    @property
    def usable(self) -> list[RunResult]:
        return [run for run in self.runs if run.active_latents]


def choose(runs: Sequence[RunResult], score: str, *, label: str | None = None) -> Choice:
    """Choose a value by the median score over its seeds, then its best seed.

    Values whose median is within the spread of seeds of the best one's cannot be told from it; of these the
    one with the best median reconstruction is taken. The spread is the standard deviation over the seeds of a
    value, pooled over all values: for three seeds that is nearly the standard error of the difference of two
    medians, so this is the one-standard-error rule of Breiman et al. 1984 (Classification and Regression
    Trees, sec. 3.4.3), with the better picture in place of the smaller tree. A run without active latents
    counts in its value's median and is never chosen.

    Args:
        runs: What was measured, each with that score.
        score: The name of the score that decides; more is better.
        label: What to call it.

    Returns:
        The choice, with the sentence that explains it; without a run if none has an active latent.
    """
    values = [
        _Value(value, tuple(run for run in runs if run.run.value == value), score)
        for value in sorted({run.run.value for run in runs})
    ]
    spread = _spread([value.scores for value in values])
    usable = [value for value in values if value.usable]
    if not usable:
        nothing = (
            "No run has an active latent, so none is of use: train longer, or lower the price of latents."
        )
        return Choice(None, nothing, (), spread)
    highest = max(value.median for value in usable)
    tied = [value for value in usable if highest - value.median <= (spread or 0.0)]
    taken = min(tied, key=lambda value: value.reconstruction)
    chosen = max(taken.usable, key=lambda run: (run.scores[score], -run.reconstruction))
    symbol = SYMBOLS.get(chosen.run.setting, chosen.run.setting)
    why = _why_this_value(symbol, label or score, taken, tied, usable, spread)
    if len(values) == 1:
        why = f"{symbol} = {taken.value:g} is the only one tried"
    reason = f"Use {chosen.run.name}: {why}{_why_this_seed(chosen, taken, label or score)}."
    return Choice(chosen.run, reason, tuple(value.value for value in tied), spread)


def _spread(scores: Sequence[Sequence[float]]) -> float | None:
    """The pooled standard deviation; None if no value has two seeds."""
    several = [group for group in scores if len(group) > 1]
    if not several:
        return None
    freedom = sum(len(group) - 1 for group in several)
    return float((sum(variance(group) * (len(group) - 1) for group in several) / freedom) ** 0.5)


def _why_this_value(
    symbol: str,
    label: str,
    taken: _Value,
    tied: Sequence[_Value],
    usable: Sequence[_Value],
    spread: float | None,
) -> str:
    if len(tied) > 1:
        listed = f"{', '.join(f'{one.value:g}' for one in tied[:-1])} and {tied[-1].value:g}"
        apart = (
            f"have the same {label}"
            if spread is None
            else f"have median {label} within the seeds' spread ({spread:.2g}) of the best"
        )
        return (
            f"{symbol} = {listed} {apart}, and of these {symbol} = {taken.value:g} "
            f"reconstructs best ({taken.reconstruction:.1f} nats an image)"
        )
    rest = [one.median for one in usable if one is not taken]
    against = f", against {max(rest):.2f} for the next" if rest else ", and no other has an active latent"
    return f"{symbol} = {taken.value:g} has the highest median {label} ({taken.median:.2f}{against})"


def _why_this_seed(chosen: RunResult, taken: _Value, label: str) -> str:
    if len(taken.runs) == 1:
        return "; with one seed this may be chance"
    return f"; of its seeds, {chosen.run.seed} has the highest {label} ({chosen.scores[taken.score]:.2f})"
