from dataclasses import replace
from pathlib import Path

import pytest

from pellucid.errors import ConfigError, RunError
from pellucid.reproduction.settings import SETTINGS, Settings, keep_settings


def test_the_same_settings_go_on_and_others_are_refused_by_name(tmp_path: Path) -> None:
    keep_settings(tmp_path, Settings(minutes=6))
    keep_settings(tmp_path, Settings(minutes=6))
    with pytest.raises(ConfigError, match=r"--minutes \(then 6, now 12\.0\), --seed \(then 0, now 1\)"):
        keep_settings(tmp_path, Settings(minutes=12.0, seed=1))


def test_other_images_in_the_same_folder_are_noticed(tmp_path: Path) -> None:
    first = Settings(data="/photographs", images_sha256="a" * 64)
    keep_settings(tmp_path, first)
    with pytest.raises(ConfigError, match="the images in --data"):
        keep_settings(tmp_path, replace(first, images_sha256="b" * 64))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="something else"):
        keep_settings(tmp_path, Settings())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_damaged_settings_are_not_believed(tmp_path: Path) -> None:
    keep_settings(tmp_path, Settings())
    text = (tmp_path / SETTINGS).read_text()
    (tmp_path / SETTINGS).write_text(text.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(RunError, match="checksum"):
        keep_settings(tmp_path, Settings(seed=1))


@pytest.mark.parametrize(
    "wrong", [{"minutes": 0.0}, {"minutes": float("nan")}, {"seed": -1}, {"seed": 2**32}, {"minutes": None}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float | None]) -> None:
    with pytest.raises(ConfigError):
        Settings(**wrong)  # type: ignore[arg-type]
