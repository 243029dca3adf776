"""Names: what is accepted, what is proposed, and what latents.json may and may not say."""

import json
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import LatentError, RunError
from pellucid.latents.activity import Activity
from pellucid.latents.names import (
    LatentRecord,
    LatentTable,
    mark,
    read_latents,
    rename,
    suggest,
    with_activity,
    write_latents,
)
from pellucid.latents.spelling import clean
from pellucid.latents.tracking import Tracking
from pellucid.model.sealed import read_sealed, write_sealed

pytestmark = pytest.mark.usefixtures("as_installed")


@pytest.fixture
def table() -> LatentTable:
    return LatentTable(tuple(LatentRecord(index) for index in range(4)))


def measured(table: LatentTable, kl: list[float]) -> LatentTable:
    found = np.array(kl)
    return with_activity(table, Activity(found, found / 2, found > 0.1, -found, found, 100))


def tracks(latent: int, attribute: str, value: float, **changes: Any) -> Tracking:
    high = min(value + 0.05, 1.0)
    made = Tracking(latent, attribute, "AUC", value, 1, 1000, 100, value - 0.05, high, 2 * value - 1, 0.001)
    return replace(made, **changes)


def test_a_name_stands_after_the_number(table: LatentTable) -> None:
    named = rename(table, 2, "  sunglasses ")
    assert named.label(2) == "z2 sunglasses"
    assert named.label(1) == "z1"
    assert table.label(2) == "z2"


@pytest.mark.parametrize("text", ["z2", "Z2", "2", "02", "sunglasses", " SunGlasses "])
def test_a_latent_is_found_by_number_and_by_name(table: LatentTable, text: str) -> None:
    assert rename(table, 2, "Sunglasses").find(text) == 2


@pytest.mark.parametrize("text", ["z4", "9999", "-1", "z", "", "hat", "z99999999999", "٢"])
def test_what_is_not_a_latent_is_refused(table: LatentTable, text: str) -> None:
    with pytest.raises(LatentError, match="expected z0 to z3"):
        table.find(text)


def test_a_near_miss_is_suggested(table: LatentTable) -> None:
    with pytest.raises(LatentError, match="Did you mean 'z2 sunglasses'"):
        rename(table, 2, "sunglasses").find("sunglases")


def test_order_is_by_kl_and_only_the_active_are_active(table: LatentTable) -> None:
    assert table.order() == [0, 1, 2, 3]
    assert table.active() == []
    full = measured(table, [0.05, 2.0, 0.0, 3.0])
    assert full.order() == [3, 1, 0, 2]
    assert full.active() == [3, 1]


def test_new_measurements_keep_the_names(table: LatentTable) -> None:
    assert measured(rename(table, 1, "hat"), [1.0] * 4).label(1) == "z1 hat"
    with pytest.raises(LatentError, match="4 latents"):
        measured(table, [1.0] * 5)


REFUSED = {
    "empty": "",
    "blank": " \t ",
    "too long": "x" * 61,
    "a latent's number": "z3",
    "a capital number": "Z17",
    "a bare number": "17",
    "a number in other digits": "z٣",
    "a line break": "a\nb",
    "nul": "a\x00b",
    "an escape": "a\x1b[31mb",
    "text turned round": "a\u202eb",
    "something invisible": "a\u200bb",
    "half a character": "a\ud800b",
}


@pytest.mark.parametrize("name", REFUSED.values(), ids=REFUSED)
def test_an_unusable_name_is_refused(table: LatentTable, name: str) -> None:
    with pytest.raises(LatentError, match="expected a name"):
        rename(table, 0, name)


@pytest.mark.parametrize("name", ["x", "x" * 60, "lunettes de soleil", "帽子", "<b>", "z3 hat", "5 o clock"])
def test_a_usable_name_is_kept_as_it_is(table: LatentTable, name: str) -> None:
    assert rename(table, 0, name).records[0].name == name


@pytest.mark.parametrize("again", ["hat", "HAT", " Hat"])
def test_a_name_is_given_once_in_whatever_case(table: LatentTable, again: str) -> None:
    named = rename(table, 0, "Hat")
    with pytest.raises(LatentError, match="what z0 is called"):
        rename(named, 1, again)
    assert rename(named, 0, again).label(0) == f"z0 {again.strip()}"


def test_names_that_look_alike_are_alike(table: LatentTable) -> None:
    named = rename(table, 0, "cafe\u0301")
    assert named.records[0].name == "caf\u00e9"
    with pytest.raises(LatentError, match="what z0 is called"):
        rename(named, 1, "CAF\u00c9")


def test_a_name_can_be_taken_away_and_given_to_another(table: LatentTable) -> None:
    freed = rename(rename(table, 0, "hat"), 0, None)
    assert freed == table
    assert rename(freed, 1, "hat").label(1) == "z1 hat"


@pytest.mark.parametrize("latent", [-1, 4])
def test_a_latent_that_is_not_there_is_not_named(table: LatentTable, latent: int) -> None:
    with pytest.raises(LatentError, match="z0 to z3"):
        rename(table, latent, "hat")
    with pytest.raises(LatentError, match="z0 to z3"):
        mark(table, latent, nuisance=True)


def test_a_mark_stays_through_new_names_measurements_and_suggestions(
    table: LatentTable, tmp_path: Path
) -> None:
    marked = mark(measured(table, [1.0, 2.0, 3.0, 0.0]), 1, nuisance=True)
    later = rename(measured(suggest(marked, [tracks(1, "Hat", 0.9)]), [3.0, 2.0, 1.0, 0.0]), 1, "cap")
    assert [record.nuisance for record in later.records] == [False, True, False, False]
    assert later.active() == [0, 1, 2]
    assert later.identity() == [0, 2]
    write_latents(tmp_path, later)
    assert read_latents(tmp_path, 4) == later
    assert mark(later, 1, nuisance=False).identity() == [0, 1, 2]


@given(st.text(max_size=70))
def test_every_text_is_refused_or_kept_and_found(text: str) -> None:
    table = LatentTable((LatentRecord(0), LatentRecord(1)))
    try:
        named = rename(table, 1, text)
    except LatentError:
        return
    name = named.records[1].name
    assert name == clean(text)
    assert named.find(text) == 1
    with TemporaryDirectory() as folder:
        write_latents(Path(folder), named)
        assert read_latents(Path(folder), 2) == named


def test_an_attribute_becomes_a_readable_name_with_its_evidence(table: LatentTable) -> None:
    seen = tracks(1, "Wearing_Hat", 0.80, direction=-1, positives=45, low=0.74, high=0.86)
    record = suggest(table, [seen]).records[1]
    assert record.name == "wearing hat"
    assert record.suggested
    assert record.evidence == (
        "Wearing_Hat AUC 0.80 (0.74-0.86), 1,000 images, 45 with it; falls with it; chosen on other images"
    )


def test_the_half_that_chooses_decides_and_the_other_is_the_evidence(table: LatentTable) -> None:
    found = [
        tracks(0, "Hat", 0.95, strength=0.5, low=0.9, high=1.0),
        tracks(1, "Hat", 0.66, strength=0.6, low=0.6, high=0.72),
    ]
    named = suggest(table, found)
    assert [record.name for record in named.records] == [None, "hat", None, None]
    assert "AUC 0.66 (0.60-0.72)" in (named.records[1].evidence or "")


def test_the_strongest_pair_is_made_first_and_each_is_used_once(table: LatentTable) -> None:
    found = [
        tracks(0, "Hat", 0.90),
        tracks(1, "Hat", 0.85),
        tracks(0, "Hair", 0.80),
        tracks(1, "Hair", 0.75),
        tracks(1, "Smile", 0.72),
    ]
    named = suggest(table, found)
    # Hair's best latent is taken by Hat; it does not make do with z1, which shows Smile.
    assert [record.name for record in named.records] == ["hat", "smile", None, None]


def test_auc_and_correlation_are_ranked_on_one_scale(table: LatentTable) -> None:
    # AUC 0.8 is a strength of 0.6, less than a correlation of 0.65
    size = tracks(0, "size", 0.65, statistic="correlation", positives=None, strength=0.65)
    assert suggest(table, [tracks(0, "hat", 0.8), size]).label(0) == "z0 size"


@pytest.mark.parametrize(
    "weak",
    [
        tracks(0, "hat", 0.8, strength=0.39),
        tracks(0, "hat", 0.9, positives=9),
        tracks(0, "hat", 0.9, positives=995),
        tracks(0, "hat", 0.72, low=0.49),
        tracks(0, "hat", 0.9, p_value=0.051),
        tracks(0, "size", 0.60, statistic="correlation", positives=None, strength=0.49),
        tracks(0, "size", 0.60, statistic="correlation", positives=None, strength=0.6, p_value=0.06),
    ],
    ids=["AUC", "positives", "negatives", "interval", "luck", "correlation", "luck of few images"],
)
def test_weak_evidence_proposes_nothing(table: LatentTable, weak: Tracking) -> None:
    assert suggest(table, [weak]) == table


def test_a_name_given_by_a_person_is_never_touched(table: LatentTable) -> None:
    named = rename(rename(table, 0, "cap"), 1, "smile")
    found = [tracks(0, "Hat", 0.9), tracks(2, "Smile", 0.9), tracks(3, "Hair", 0.9)]
    # z0 has a name; "smile" is in use; only Hair is new
    assert [record.name for record in suggest(named, found).records] == ["cap", "smile", None, "hair"]


def test_earlier_suggestions_are_replaced(table: LatentTable) -> None:
    earlier = suggest(table, [tracks(0, "Hat", 0.9), tracks(1, "Hair", 0.9)])
    later = suggest(earlier, [tracks(1, "Hat", 0.9)])
    assert [record.name for record in later.records] == [None, "hat", None, None]


def test_an_inactive_latent_is_not_named(table: LatentTable) -> None:
    found = [tracks(0, "Hat", 0.9), tracks(1, "Hat", 0.8)]
    assert suggest(measured(table, [0.0, 1.0, 0.0, 0.0]), found).label(1) == "z1 hat"


@pytest.mark.parametrize("attribute", ["z3", "17", "x" * 61, "___", "a\x00b", "a\nb", "a\u202eb"])
def test_an_attribute_without_a_usable_name_proposes_nothing(table: LatentTable, attribute: str) -> None:
    assert suggest(table, [tracks(0, attribute, 0.9)]) == table


def test_odd_attributes_leave_a_file_that_can_be_read(table: LatentTable, tmp_path: Path) -> None:
    named = suggest(table, [tracks(0, "a\u00a0b", 0.9), tracks(1, "c" + "_" * 400 + "d", 0.9)])
    assert named.label(0) == "z0 a b"
    write_latents(tmp_path, named)
    assert read_latents(tmp_path, 4) == named


def test_a_run_without_the_file_has_no_names(table: LatentTable, tmp_path: Path) -> None:
    assert read_latents(tmp_path, 4) == table


def test_what_is_written_is_read(table: LatentTable, tmp_path: Path) -> None:
    full = measured(suggest(rename(table, 3, "soleil d'été"), [tracks(1, "Hat", 0.9)]), [0.1, 2.5, 1e-9, 3.0])
    write_latents(tmp_path, full)
    assert read_latents(tmp_path, 4) == full


def test_the_file_of_another_model_is_refused(table: LatentTable, tmp_path: Path) -> None:
    write_latents(tmp_path, table)
    with pytest.raises(RunError, match="5 latents"):
        read_latents(tmp_path, 5)


def resealed(run: Path, change: dict[str, Any], record: dict[str, Any]) -> None:
    content = read_sealed(run / "latents.json")
    content["latents"][1].update(record)
    write_sealed(run / "latents.json", {**content, **change})


HOSTILE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "format": ({"format": "other"}, {}),
    "version": ({"version": 2}, {}),
    "unknown key": ({"extra": 1}, {}),
    "no list": ({"latents": {"0": {}}}, {}),
    "too few": ({"latents": []}, {}),
    "entries of another kind": ({"latents": [1, 2, 3, 4]}, {}),
    "unknown key of a latent": ({}, {"colour": "red"}),
    "wrong index": ({}, {"index": 2}),
    "bool for a number": ({}, {"index": True}),
    "number for a bool": ({}, {"suggested": 1}),
    "no bool": ({}, {"suggested": None}),
    "text for a number": ({}, {"kl": "1.0"}),
    "huge whole number": ({}, {"kl": 10**400}),
    "list for a name": ({}, {"name": ["hat"]}),
    "refused name": ({}, {"name": "z3"}),
    "unclean name": ({}, {"name": " hat"}),
    "long name": ({}, {"name": "x" * 61}),
    "name of another": ({}, {"name": "CAP"}),
    "long evidence": ({}, {"evidence": "x" * 301}),
    "evidence with an escape": ({}, {"evidence": "\x1b[2J"}),
    "number for a mark": ({}, {"nuisance": 1}),
    "no mark": ({}, {"nuisance": None}),
    "range turned round": ({}, {"low": 1.0, "high": -1.0}),
    "variance below 0": ({}, {"variance": -1.0}),
    "half a range": ({}, {"low": 1.0}),
}


@pytest.mark.parametrize(("change", "record"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_with_a_good_seal_is_refused(
    table: LatentTable, tmp_path: Path, change: dict[str, Any], record: dict[str, Any]
) -> None:
    write_latents(tmp_path, rename(table, 0, "cap"))
    resealed(tmp_path, change, record)
    with pytest.raises(RunError, match=r"latents\.json"):
        read_latents(tmp_path, 4)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.just([]),
)


@given(st.sampled_from([field.name for field in fields(LatentRecord)]), VALUES)
def test_any_sealed_value_is_refused_or_is_a_table_that_can_be_written(field: str, value: Any) -> None:
    with TemporaryDirectory() as folder:
        run = Path(folder)
        write_latents(run, LatentTable((LatentRecord(0, name="cap"), LatentRecord(1))))
        resealed(run, {}, {field: value})
        try:
            table = read_latents(run, 2)
        except RunError:
            return
        write_latents(run, table)
        assert read_latents(run, 2) == table
        assert table.find(table.records[1].name or "z1") == 1


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_is_none_is_refused(table: LatentTable, tmp_path: Path, number: str) -> None:
    write_latents(tmp_path, measured(table, [1.0] * 4))
    path = tmp_path / "latents.json"
    path.write_text(path.read_text().replace('"kl": 1.0', f'"kl": {number}', 1))
    with pytest.raises(RunError):
        read_latents(tmp_path, 4)


def test_mutated_files_are_refused_or_say_the_same(table: LatentTable, tmp_path: Path) -> None:
    full = measured(suggest(rename(table, 3, "été"), [tracks(1, "Hat", 0.9)]), [0.1, 2.5, 1e-9, 3.0])
    write_latents(tmp_path, full)
    path = tmp_path / "latents.json"
    content, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for _ in range(300):
        mutated = bytearray(content)
        at, length = int(rng.integers(len(content))), int(rng.integers(1, 9))
        mutated[at : at + length] = rng.bytes(int(rng.integers(0, 9)))
        path.write_bytes(mutated)
        try:
            assert read_latents(tmp_path, 4) == full
        except RunError:
            refused += 1
    assert refused > 270


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latents.json").mkdir()
    with pytest.raises(RunError, match="folder"):
        read_latents(tmp_path, 4)


def test_the_file_is_plain_json(table: LatentTable, tmp_path: Path) -> None:
    write_latents(tmp_path, rename(table, 2, "été"))
    content = json.loads((tmp_path / "latents.json").read_text(encoding="utf-8"))
    assert content["version"] == 1
    assert content["latents"][2]["name"] == "été"
