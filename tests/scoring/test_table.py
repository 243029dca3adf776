"""Tables of features: no digit is lost, no name breaks them, and a stop leaves the old one."""

import csv
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pellucid.anomaly.features import Features
from pellucid.errors import ConfigError, MissingExtraError
from pellucid.scoring.table import SCORES, Judged, writing_table


def made(names: tuple[str, ...]) -> Features:
    """Numbers with many digits, and a last image that could not be read."""
    chance = np.random.default_rng(0)
    values = chance.standard_normal((len(names), 2))
    values[-1] = np.nan
    return Features(("mse", "z0"), values, names, ("",) * (len(names) - 1) + ("is damaged, or\nnot",))


def write_features(features: Features, path: Path, found: Judged | None = None) -> None:
    """As a table, in two parts."""
    with writing_table(path, features.columns, judged=found is not None) as add:
        for rows in (slice(0, 2), slice(2, None)):
            part = np.arange(len(features))[rows]
            judged = None if found is None else Judged(found.verdicts[rows], found.scores[rows])
            add(features.of(part), judged)


HOSTILE = ("plain.jpg", "=HYPERLINK(1).jpg", 'a"b,c.jpg', "line\nbreak.jpg", "not\udcffutf8.jpg", "last")
HARMLESS = ("plain.jpg", "=HYPERLINK(1).jpg", 'a"b,c.jpg', "line\\nbreak.jpg", "not\\udcffutf8.jpg", "last")


def test_csv_loses_no_digit_and_no_name_breaks_it(tmp_path: Path) -> None:
    features = made(HOSTILE)
    write_features(features, tmp_path / "features.csv")
    with (tmp_path / "features.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [HARMLESS[0], "./" + HARMLESS[1], *HARMLESS[2:]]
    assert [row["problem"] for row in rows] == [*[""] * 5, "is damaged, or\\nnot"]
    assert [[float(row["mse"]), float(row["z0"])] for row in rows[:-1]] == features.values[:-1].tolist()
    assert rows[-1]["mse"] == ""


def test_npz_holds_the_arrays_and_nothing_that_runs(tmp_path: Path) -> None:
    features = made(HOSTILE)
    write_features(features, tmp_path / "features.npz")
    with np.load(tmp_path / "features.npz", allow_pickle=False) as file:
        assert tuple(file["names"].tolist()) == HARMLESS
        assert file["columns"].tolist() == ["mse", "z0"]
        assert np.array_equal(file["values"], features.values, equal_nan=True)


def test_parquet_loses_no_digit(tmp_path: Path) -> None:
    features = made(HOSTILE)
    write_features(features, tmp_path / "features.parquet")
    table = pq.read_table(tmp_path / "features.parquet").to_pydict()
    assert tuple(table["name"]) == HARMLESS
    assert table["z0"][:-1] == features.values[:-1, 1].tolist()


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pellucid\[parquet\]"):
        write_features(made(("a", "b")), tmp_path / "features.parquet")
    assert not list(tmp_path.iterdir())


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.csv, \.npz, \.parquet"):
        write_features(made(("a", "b")), tmp_path / "features.xlsx")


JUDGED = Judged(
    ("normal", "anomalous", "unreadable"), np.array([[1.5, 0.75, 0.3], [-2, 0.1, 0.001], [np.nan] * 3])
)


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_verdicts_stand_before_the_features(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"table.{kind}"
    features = made(("a", "b", "c"))
    write_features(features, path, JUDGED)
    if kind == "npz":
        with np.load(path) as file:
            assert tuple(file["verdicts"].tolist()) == JUDGED.verdicts
            assert np.array_equal(file["scores"], JUDGED.scores, equal_nan=True)
        return
    if kind == "csv":
        with path.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        columns = list(rows[0])
        table = {column: [row[column] for row in rows] for column in columns}
        assert [float(number) for number in table["score"][:2]] == [1.5, -2.0]
        assert table["score"][2] == ""
    else:
        read = pq.read_table(path)
        columns, table = read.column_names, read.to_pydict()
        assert table["score"][:2] == [1.5, -2.0]
    assert columns == ["name", "problem", "verdict", *SCORES, "mse", "z0"]
    assert tuple(table["verdict"]) == JUDGED.verdicts


def test_a_stop_leaves_the_old_table(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    writing = writing_table(path, ("mse", "z0"))
    writing.__enter__()(made(("a", "b")), None)
    writing.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "＝", "＋", "－", "＠"])
@pytest.mark.parametrize("before", ["", " ", "x;", "x; ", 'x;"', "'"])
def test_no_cell_is_a_formula_wherever_it_is_opened(tmp_path: Path, start: str, before: str) -> None:
    """Excel takes semicolons for the ends of cells where the comma is the decimal point."""
    features = made((f"{before}{start}cmd|' /c calc'!A0.jpg", "last"))
    write_features(features, tmp_path / "features.csv")
    text = (tmp_path / "features.csv").read_text(encoding="utf-8")
    for delimiter in ",;":
        cells = [cell for row in csv.reader(text.splitlines(), delimiter=delimiter) for cell in row]
        begins = [cell.lstrip(" \"'")[:1] for cell in cells if "calc" in cell]
        assert begins
        assert not set(begins) & set("=+-@＝＋－＠")
