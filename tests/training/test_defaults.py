import pytest

from pellucid.errors import ConfigError
from pellucid.training.defaults import defaults_for, parse_losses


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
