import pytest

from pellucid.reproduction.plan import Subject, by_loss, minutes_of, recipes


@pytest.mark.parametrize(("subject", "count"), [("faces", 9), ("people", 8)])
def test_every_minute_is_given_to_one_model_of_its_own_name(subject: Subject, count: int) -> None:
    every = recipes(subject)
    assert len({recipe.name for recipe in every}) == len(every) == count
    assert sum(minutes_of(recipe, every, 120) for recipe in every) == pytest.approx(120)


def test_models_that_are_compared_differ_in_one_thing_only() -> None:
    named = {recipe.name: recipe for recipe in recipes("faces")}
    losses = [named[by_loss("faces", loss)] for loss in ("mse", "cosine", "ssim")]
    assert {(r.data, r.objective, r.beta, r.share) for r in losses} == {("faces", "beta-tcvae", 4.0, 1.0)}
    betas = [named[by_loss("faces", "mse", beta)] for beta in (1, 4, 10)]
    assert [r.beta for r in betas] == [1, 4, 10]
    assert {(r.data, r.objective, r.loss, r.share) for r in betas} == {("faces", "beta-tcvae", "mse", 1.0)}
    sprites = [named["sprites-vae"], named["sprites-tcvae"]]
    assert sprites[0].share == sprites[1].share


def test_simulated_people_stand_in_for_faces_and_come_with_the_package() -> None:
    names = [recipe.name for recipe in recipes("people")]
    assert names.count("people") == 1
    assert [recipe.name for recipe in recipes("people") if recipe.pretrained] == ["people"]
    assert minutes_of(recipes("people")[-1], recipes("people"), 120) == 0
    assert not [name for name in names if "faces" in name]
