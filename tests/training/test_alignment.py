from collections.abc import Callable

import numpy as np
import pytest
import torch

from pellucid.model.architecture import PRESETS, Architecture
from pellucid.model.posterior import Posterior
from pellucid.model.vae import VAE
from pellucid.training.alignment import align, independent_axes, spacing_entropy

SOURCES = {
    "uniform": lambda chance, n: chance.uniform(-(3**0.5), 3**0.5, n),
    "laplace": lambda chance, n: chance.laplace(0, 0.5**0.5, n),
    "rare": lambda chance, n: (chance.random(n) < 0.05) / 0.2179 + 0.1 * chance.normal(size=n),
}


def random_rotation(chance: np.random.Generator, size: int) -> np.ndarray:
    return np.linalg.qr(chance.normal(size=(size, size)))[0]


@pytest.mark.parametrize(
    ("drawn", "entropy"),
    [
        (lambda chance: chance.uniform(0, 2, 20_000), np.log(2)),
        (lambda chance: chance.normal(0, 3, 20_000), 0.5 * np.log(2 * np.pi * np.e * 9)),
        (lambda chance: chance.laplace(0, 0.5, 20_000), 1 + np.log(2 * 0.5)),
    ],
    ids=["uniform", "normal", "laplace"],
)
def test_entropies_equal_the_closed_forms(drawn: Callable, entropy: float) -> None:
    found = spacing_entropy(drawn(np.random.default_rng(0))[None])
    assert found[0] == pytest.approx(entropy, abs=0.06)


def test_the_start_does_not_matter() -> None:
    chance = np.random.default_rng(2)
    sources = np.stack([SOURCES["uniform"](chance, 4_000) for _ in range(6)], axis=1)
    for _ in range(3):
        mixing = random_rotation(chance, 6)
        recovered = np.abs(independent_axes(sources @ mixing.T, np.ones(6, bool)) @ mixing)
        assert recovered.max(axis=1).min() > 0.98


def test_axes_that_are_independent_already_stay() -> None:
    chance = np.random.default_rng(3)
    sources = np.stack([SOURCES["uniform"](chance, 4_000) for _ in range(4)], axis=1)
    assert np.allclose(independent_axes(sources, np.ones(4, bool)), np.eye(4), atol=0.1)


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_independent_sources_are_found_behind_a_rotation(kind: str) -> None:
    chance = np.random.default_rng(0)
    sources = np.stack([SOURCES[kind](chance, 10_000) for _ in range(4)], axis=1)
    mixing = random_rotation(chance, 4)
    axes = independent_axes(sources @ mixing.T, np.ones(4, bool))
    assert np.allclose(axes @ axes.T, np.eye(4), atol=1e-6)
    recovered = np.abs(axes @ mixing)  # a permutation, up to signs
    assert np.allclose(np.sort(recovered, axis=1)[:, :-1], 0, atol=0.1)
    assert sorted(recovered.argmax(1)) == [0, 1, 2, 3]


def test_inactive_latents_stay_where_they_are() -> None:
    chance = np.random.default_rng(1)
    codes = chance.laplace(size=(2000, 5)) @ random_rotation(chance, 5)
    active = np.array([True, False, True, True, False])
    axes = independent_axes(codes, active)
    assert np.array_equal(axes[~active], np.eye(5)[~active])
    assert np.array_equal(independent_axes(codes, np.arange(5) == 2), np.eye(5))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_alignment_turns_codes_and_leaves_every_image_as_it_was(
    preset: str, generator: torch.Generator
) -> None:
    vae = VAE(Architecture(preset, 32, 1, 3))
    vae.initialise(generator)
    images = torch.rand((500, 1, 32, 32), generator=generator)
    with torch.no_grad():
        vae.encoder[-1].weight[:3].div_(vae.encode(images).mean.std(0)[:, None])  # all three say something
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-3)
    vae.decode(vae.encode(images[:8]).sample(generator)).square().sum().backward()
    optimizer.step()
    with torch.no_grad():
        before = vae.encode(images)
        pictures = vae.decode(before.mean[:8])
        align(vae, optimizer, before)
        after = vae.encode(images)
        same = vae.decode(after.mean[:8])
    rotation = torch.linalg.lstsq(before.mean, after.mean).solution.T
    assert torch.allclose(rotation @ rotation.T, torch.eye(3), atol=1e-3)
    assert not torch.allclose(rotation.abs(), torch.eye(3), atol=1e-2)
    assert torch.allclose(pictures, same, atol=1e-4)


def test_variances_are_those_of_the_rotated_covariance(generator: torch.Generator) -> None:
    vae = VAE(Architecture("burgess", 32, 1, 2))
    variance = torch.tensor([0.2, 0.6])
    with torch.no_grad():
        vae.encoder[-1].weight[2:] = 0
        vae.encoder[-1].bias[2:] = variance.log()
        weight = vae.encoder[-1].weight[:2].clone()
    optimizer = torch.optim.Adam(vae.parameters())
    chance = np.random.default_rng(0)
    codes = torch.from_numpy(chance.laplace(size=(5000, 2)) @ random_rotation(chance, 2)).float()
    align(vae, optimizer, Posterior(codes, variance.log().repeat(5000, 1)))
    rotation = torch.linalg.lstsq(weight.T, vae.encoder[-1].weight[:2].T).solution.T
    expected = (rotation @ variance.diag() @ rotation.T).diagonal()
    with torch.no_grad():
        found = vae.encode(torch.rand((1, 1, 32, 32), generator=generator)).log_variance.exp()[0]
    assert torch.allclose(found, expected, atol=1e-4)
