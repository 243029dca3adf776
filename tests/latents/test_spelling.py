import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import LatentError
from pellucid.latents.names import LatentRecord, LatentTable, rename
from pellucid.latents.spelling import clean, hides, like_a_number, skeleton, visible


@pytest.fixture
def table() -> LatentTable:
    return LatentTable((LatentRecord(0), LatentRecord(1)))


UNSEEN = {
    "a Hangul filler": "hat\u3164",
    "a halfwidth filler": "\uffa0",
    "Hangul's first filler": "\u115f",
    "a blank Braille cell": "\u2800",
    "a variation selector": "hat\ufe0f",
    "another variation selector": "hat\U000e0101",
    "a tag": "hat\U000e0041",
    "a joiner that is a mark": "h\u034fat",
    "private use": "hat\ue000",
    "not assigned": "hat\u0378",
    "a mark without a letter": "\u0301hat",
    "marks piled up": "h\u0301\u0302\u0303\u0304at",
    "turned round": "\u202etah",
    "an isolate": "\u2067hat",
    "zero width": "h\u200bat",
    "a byte order mark": "\ufeffhat",
    "a soft hyphen": "h\u00adat",
}


@pytest.mark.parametrize("name", UNSEEN.values(), ids=UNSEEN)
def test_what_is_not_seen_is_refused(table: LatentTable, name: str) -> None:
    with pytest.raises(LatentError, match="visible"):
        rename(table, 0, name)


@pytest.mark.parametrize(
    "name",
    [
        "hat",
        "chapeau très élégant",
        "Việt Nam ệ",
        "ש\u05b8\u05c1לום",
        "สวัสดี",
        "帽子",
        "नमस्ते",
        "🎩",
        "50 % grey",
        "a_b",
    ],
)
def test_names_of_all_languages_are_taken(table: LatentTable, name: str) -> None:
    named = rename(table, 0, name)
    assert named.records[0].name == unicodedata.normalize("NFC", name)
    assert named.find(name) == 0


LOOKALIKES = {
    "Cyrillic": ("pose", "роѕе"),
    "one Cyrillic letter": ("smile", "smіle"),
    "Greek": ("NOTE", "ΝΟΤΕ"),
    "full width": ("hat", "ｈａｔ"),
    "mathematical": ("hat", "𝐡𝐚𝐭"),
    "I and l": ("Illumination", "lllumination"),
    "1 and l": ("pose l", "pose 1"),
    "0 and O": ("pose O", "pose 0"),
    "a ligature": ("finish", "ﬁnish"),
    "dashes": ("left-right", "left–right"),
    "other blanks": ("left right", "left\u00a0right"),
    "doubled blanks": ("left right", "left  right"),
}


@pytest.mark.parametrize(("one", "other"), LOOKALIKES.values(), ids=LOOKALIKES)
def test_two_names_that_look_alike_are_not_given_to_two_latents(
    table: LatentTable, one: str, other: str
) -> None:
    for first, second in ((one, other), (other, one)):
        with pytest.raises(LatentError, match="looks like|is called"):
            rename(rename(table, 0, first), 1, second)


@pytest.mark.parametrize("pair", [("pose", "nose"), ("café", "cafe"), ("up", "down"), ("z3 hat", "z4 hat")])
def test_names_that_can_be_told_apart_are_both_taken(table: LatentTable, pair: tuple[str, str]) -> None:
    both = rename(rename(table, 0, pair[0]), 1, pair[1])
    assert [record.name for record in both.records] == list(pair)


@pytest.mark.parametrize("name", ["z3", "17", "z１", "ｚ3", "z1O", "zl0", "ZI7", "𝟏𝟕"])
def test_what_looks_like_a_latents_number_is_refused(table: LatentTable, name: str) -> None:
    with pytest.raises(LatentError, match="number"):
        rename(table, 0, name)


@pytest.mark.parametrize("name", ["zoo", "oil", "lilo", "z hat", "5 o clock"])
def test_words_are_no_numbers(name: str) -> None:
    assert not like_a_number(name)


@given(st.text(max_size=40))
def test_a_clean_name_stays_clean_and_a_visible_one_has_nothing_hidden(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert skeleton(once) == skeleton(once.upper().lower()) or not once.isascii() or not once.islower()
    if visible(once):
        assert not hides(once)
        assert once.isprintable()
