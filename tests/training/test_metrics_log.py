"""metrics.jsonl as a stranger may write it: rows of numbers, or one typed error."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import RunError
from pellucid.training import metrics_log
from pellucid.training.metrics_log import METRICS, append_metrics, cut_metrics, read_metrics

pytestmark = pytest.mark.usefixtures("as_installed")


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 1, "loss": ' + str(10**400) + "}",
        '{"step": 1, "loss": ' + "9" * 4300 + "}",
        '{"step": ' + "9" * 4301 + "}",
        '{"step": 1, "loss": 1e999}',
        '{"step": 1, "loss": NaN}',
        '{"step": true}',
        '{"step": 1.5}',
        '{"loss": 1}',
        '{"step": 1, "loss": "1"}',
        '{"step": 1, "loss": [1]}',
        '{"step": 1, "step": 2}',
        "[" * 20_000,
        "[1]",
        "",
    ],
    ids=lambda line: line[:24],
)
def test_what_is_no_row_of_numbers_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / METRICS).write_text('{"step": 1}\n' + line + "\n")
    for read in (read_metrics, lambda run: cut_metrics(run, 5)):
        with pytest.raises(RunError, match=r"metrics\.jsonl") as caught:
            read(tmp_path)
        assert len(str(caught.value)) < len(str(tmp_path)) + 200


def test_a_line_is_counted_while_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / METRICS).open("wb") as file:
        file.truncate(2**40)  # a hole: it takes no disk
    with pytest.raises(RunError, match="lines of at most 65,536 bytes"):
        read_metrics(tmp_path)


def test_numbers_are_counted_while_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_log, "MAX_NUMBERS", 100)
    for step in range(60):
        append_metrics(tmp_path, {"step": step, "loss": 0.5})
    with pytest.raises(RunError, match="at most 100 numbers"):
        read_metrics(tmp_path)
    cut_metrics(tmp_path, 40)
    assert [row["step"] for row in read_metrics(tmp_path)] == list(range(41))


@given(st.binary(max_size=80))
def test_any_bytes_are_rows_or_a_run_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    run = tmp_path_factory.mktemp("run")
    (run / METRICS).write_bytes(b'{"step": 3, "loss": null}\n' + content)
    try:
        rows = read_metrics(run)
    except RunError:
        return
    assert rows[0] == {"step": 3, "loss": None}
    cut_metrics(run, 2**63)
    assert read_metrics(run) == [row for row in rows if row["step"] <= 2**63]
