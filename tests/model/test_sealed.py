import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import RunError
from pellucid.model.sealed import MAX_BYTES, read_sealed, write_file, write_sealed

pytestmark = pytest.mark.usefixtures("as_installed")

CONTENT = {"name": "Sømething", "beta": 4.0, "nested": {"a": [1, 2, None, True]}}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_sealed(tmp_path / "a.json", CONTENT)
    assert read_sealed(tmp_path / "a.json") == CONTENT


def test_whitespace_and_key_order_do_not_break_the_seal(tmp_path: Path) -> None:
    write_sealed(tmp_path / "a.json", CONTENT)
    loose = dict(reversed(json.loads((tmp_path / "a.json").read_text()).items()))
    (tmp_path / "a.json").write_text(json.dumps(loose, indent=7))
    assert read_sealed(tmp_path / "a.json") == CONTENT


@pytest.mark.parametrize(
    "text",
    [
        '{"beta": 5.0}',
        "[]",
        "nan",
        "",
        '{"a": NaN, "sha256": "0"}',
        '{"a": 1e999, "sha256": "0"}',
        '{"a": 1, "a": 1, "sha256": "0"}',
        '{"sha256": 3}',
        "[" * 100_000,
        "\x00",
        '{"a": "\\ud800", "sha256": "0"}',
        '{"a": ' + "9" * 5000 + ', "sha256": "0"}',
    ],
)
def test_anything_else_is_a_run_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(RunError, match=r"a\.json"):
        read_sealed(tmp_path / "a.json")


@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_changed_byte_is_refused_or_means_the_same(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    path = tmp_path_factory.mktemp("sealed") / "a.json"
    write_sealed(path, CONTENT)
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    path.write_bytes(content)
    with suppress(RunError):
        assert read_sealed(path) == CONTENT


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(RunError, match="at most"):
        read_sealed(tmp_path / "a.json")


def test_a_message_is_short_whatever_the_file_says(tmp_path: Path) -> None:
    for number in ("9" * 100_000 + ".0", "1" * 4000 + "e999", "-1e" + "9" * 100_000):
        (tmp_path / "a.json").write_text('{"a": ' + number + "}")
        with pytest.raises(RunError) as caught:
            read_sealed(tmp_path / "a.json")
        assert len(str(caught.value)) < len(str(tmp_path)) + 200


def test_a_failed_write_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path / "a", b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_file(tmp_path / "a", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]
