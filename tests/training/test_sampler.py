import numpy as np

from pellucid.training.sampler import Sampler, generator_for, seed_for

ROWS = np.arange(100, 137)


def test_every_epoch_shows_every_row_once() -> None:
    sampler = Sampler(ROWS, batch_size=5, seed=3)
    shown = np.concatenate([sampler.batch(step) for step in range(37)])  # 185 = 5 epochs of 37
    for epoch in shown.reshape(5, 37):
        assert sorted(epoch) == ROWS.tolist()
    assert not np.array_equal(shown[:37], shown[37:74])


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    forward, backward = Sampler(ROWS, batch_size=8, seed=3), Sampler(ROWS, batch_size=8, seed=3)
    ahead = [forward.batch(step) for step in range(20)]
    back = [backward.batch(step) for step in reversed(range(20))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(ahead, back, strict=True))
    other = Sampler(ROWS, batch_size=8, seed=4)
    assert not np.array_equal(other.batch(0), ahead[0])


def test_a_batch_may_be_larger_than_an_epoch() -> None:
    batch = Sampler(ROWS[:3], batch_size=7, seed=0).batch(0)
    assert np.bincount(batch - 100).tolist() in ([3, 2, 2], [2, 3, 2], [2, 2, 3])


def test_seeds_differ_by_purpose_and_position() -> None:
    seeds = {
        seed_for(seed, purpose, at) for seed in range(5) for purpose in ("noise", "flip") for at in range(50)
    }
    assert len(seeds) == 500
    assert generator_for(1, "noise", 2).initial_seed() == seed_for(1, "noise", 2)
