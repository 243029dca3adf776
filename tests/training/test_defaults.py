import pytest

from pellucid.data.dataset import Dataset
from pellucid.errors import ConfigError
from pellucid.training.defaults import defaults_for, parse_losses, settings_for


def test_losses_are_read_with_and_without_weights() -> None:
    assert parse_losses("ssim") == (("ssim", 1.0),)
    assert parse_losses("mse=1, ssim=0.5") == (("mse", 1.0), ("ssim", 0.5))


@pytest.mark.parametrize(
    ("text", "says"), [("", "mse"), ("l2", "l2"), ("mse=x", "number"), ("mse,,ssim", "loss")]
)
def test_a_misspelt_loss_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_losses(text)


def test_drawings_are_trained_by_likelihood_and_photographs_by_what_people_see() -> None:
    assert defaults_for("sprites", 1).losses == (("cross_entropy", 1.0),)
    assert dict(defaults_for("folder", 3).losses).keys() == {"mse", "ssim"}
    assert defaults_for("celeba", 3).flip
    assert not defaults_for("folder", 3).flip  # a mirrored chest or road sign is another thing


def test_what_is_not_asked_for_takes_what_suits_the_data(dataset: Dataset) -> None:
    config, architecture = settings_for(dataset, objective="beta-tcvae", steps=10)
    defaults = defaults_for(dataset.kind, 1)
    assert (config.objective.beta, config.objective.losses) == (defaults.beta, defaults.losses)
    assert (config.learning_rate, config.alignments) == (defaults.learning_rate, defaults.alignments)
    assert (architecture.preset, architecture.latents) == (defaults.preset, defaults.latents)
    assert (architecture.size, architecture.channels) == (32, 1)  # those of the images
    plain, _ = settings_for(dataset, objective="vae", steps=10)
    assert (plain.objective.beta, plain.alignments) == (1, 0)


def test_what_is_asked_for_is_taken_even_if_it_is_nothing(dataset: Dataset) -> None:
    config, architecture = settings_for(
        dataset,
        objective="beta-tcvae",
        weights={"alpha": 0.5},
        beta=0.0,
        losses=(("mae", 2.0),),
        latents=3,
        preset="photo",
        align=False,
        steps=10,
        seed=7,
    )
    assert (config.objective.alpha, config.objective.beta) == (0.5, 0)
    assert (config.objective.losses, config.alignments, config.seed) == ((("mae", 2.0),), 0, 7)
    assert (architecture.preset, architecture.latents) == ("photo", 3)
    with pytest.raises(ConfigError, match="beta"):
        settings_for(dataset, objective="vae", beta=4.0, steps=10)
    with pytest.raises(ConfigError, match="one of steps"):
        settings_for(dataset, objective="vae")
