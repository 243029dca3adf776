import pytest
import torch

from pellucid.training.threads import WorkerThreads

TINY = 1e-39  # below the least normal float32, 1.2e-38


def doubled(number: float) -> float:
    return (torch.tensor(number) * 2).item()


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="the processor always computes with them")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("before", [False, True])
def test_numbers_that_slow_the_processor_down_are_0_within_and_as_before_afterwards(
    threads: int, before: bool
) -> None:
    torch.set_flush_denormal(before)
    try:
        outside = doubled(TINY)
        with WorkerThreads(threads) as pool:
            assert doubled(TINY) == 0
            assert pool.map(doubled, [TINY] * 8) == [0] * 8
            assert pool.start(doubled, TINY)() == 0
            assert pool.map(doubled, [1e-37]) == [pytest.approx(2e-37)]
        assert doubled(TINY) == outside == (0 if before else pytest.approx(2 * TINY, rel=1e-3))
    finally:
        torch.set_flush_denormal(False)


def test_adams_moments_of_a_weight_that_rests_end_at_0() -> None:
    weight = torch.nn.Parameter(torch.ones(4))
    with WorkerThreads(1):
        adam = torch.optim.Adam([weight], betas=(0.9, 0.99), fused=True)
        weight.grad = torch.full((4,), 1e-15)
        adam.step()
        weight.grad = torch.zeros(4)
        for _ in range(2000):  # without flushing they stop at a denormal and stay there
            adam.step()
        assert not adam.state[weight]["exp_avg"].any()
        assert not adam.state[weight]["exp_avg_sq"].any()
