import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.storage.strict_json import parse_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(VALUES)
def test_what_json_can_say_is_read(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value


@pytest.mark.parametrize(
    "text",
    [
        "9" * 4300,
        "9" * 4301,
        "9" * 2_000_000,
        "-" + "9" * 100_000,
        str(10**400),
        str(2**64),
        str(-(2**63) - 1),
        "1e400",
        "-1e400",
        "1" * 400 + ".0",
        "NaN",
        "Infinity",
        "-Infinity",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a": 1, "a": 1}',
        " ",
        "\x00",
        "01",
        "[1,]",
        '"\\u12"',
    ],
    ids=lambda text: f"{text[:8]!r} x {len(text)}",
)
@pytest.mark.parametrize("within", ["{}", "[1, {}]", '{{"a": [{}, 1]}}'])
def test_anything_else_is_a_value_error_with_a_short_message(text: str, within: str) -> None:
    with pytest.raises(ValueError, match=".") as caught:
        parse_json(within.format(text))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("data", [b"\xff\xfe1\x00", b'"\xff"', "1".encode("utf-32")])
def test_bytes_are_utf8(data: bytes) -> None:
    with pytest.raises(ValueError, match="."):
        parse_json(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_a_value_error(data: bytes) -> None:
    try:
        value = parse_json(data)
    except ValueError:
        return
    assert value == json.loads(data)


@given(st.text("0123456789.eE+-", min_size=1, max_size=40))
def test_a_number_that_is_read_is_finite_and_fits_into_64_bits(text: str) -> None:
    try:
        number = parse_json(text)
    except ValueError:
        return
    assert math.isfinite(number)
    assert isinstance(number, float) or -(2**63) <= number < 2**64
