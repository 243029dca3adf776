from pathlib import Path

import pytest

from pellucid.errors import RunError
from pellucid.reproduction.claims import part_of_the_latents
from pellucid.reproduction.exhibit import Exhibit, Part, Picture, Table, numbered
from pellucid.reproduction.storage import PARTS, read_part, write_part


@pytest.fixture
def part() -> Part:
    exhibit = Exhibit(
        figures=(16, 17),
        title="Latents",
        paper="gist",
        here=("one", "two"),
        pictures=(Picture("both", "alt", b"light", b"dark"), Picture("photo", "alt", b"photo")),
        tables=(Table("caption", ("a", "b"), (("1", "2"), ("3", "4"))),),
        claims=(part_of_the_latents(14, 32),),
    )
    return Part("some", (exhibit,), {"visible": 14, "share": 0.4375})


def test_a_part_is_read_as_it_was_written(tmp_path: Path, part: Part) -> None:
    write_part(tmp_path, part)
    assert read_part(tmp_path, "some") == part
    assert read_part(tmp_path, "other") is None


@pytest.mark.parametrize("file", ["some.json", "some-both.png", "some-both-dark.png", "some-photo.png"])
def test_a_part_with_a_damaged_or_missing_file_is_computed_anew(
    tmp_path: Path, part: Part, file: str
) -> None:
    write_part(tmp_path, part)
    path = tmp_path / PARTS / file
    content = path.read_bytes()
    path.write_bytes(content.replace(b"l", b"L").replace(b"d", b"D").replace(b"p", b"P"))
    assert read_part(tmp_path, "some") is None
    path.unlink()
    assert read_part(tmp_path, "some") is None


def test_a_part_of_another_version_is_computed_anew(
    tmp_path: Path, part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_part(tmp_path, part)
    monkeypatch.setattr("pellucid.__version__", "999.0.0")
    assert read_part(tmp_path, "some") is None
    write_part(tmp_path, part)
    assert read_part(tmp_path, "some") == part


def test_figures_are_numbered_as_people_do() -> None:
    assert [numbered(f) for f in ((), (1,), (2, 3), (7, 8, 9, 10))] == [
        "",
        "Fig 1",
        "Figs 2 and 3",
        "Figs 7 to 10",
    ]


def test_nothing_is_written_or_read_through_a_link(tmp_path: Path, part: Part) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / PARTS).symlink_to(elsewhere)
    with pytest.raises(RunError, match="got a link"):
        write_part(tmp_path, part)
    with pytest.raises(RunError, match="got a link"):
        read_part(tmp_path, "some")
    assert not list(elsewhere.iterdir())
