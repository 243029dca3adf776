import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.live.wire import HEAD_BYTES, WireError, pack, unpack

pytestmark = pytest.mark.usefixtures("as_installed")


def test_a_message_is_the_length_of_its_head_the_head_and_the_rest() -> None:
    assert pack({"kind": "é"}, b"ab", b"c") == b"\x0e\0\0\0" + '{"kind": "é"}'.encode() + b"abc"


@given(
    st.dictionaries(st.text(max_size=5), st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5)),
    st.binary(max_size=50),
)
def test_what_is_packed_is_unpacked(head: dict[str, object], body: bytes) -> None:
    found, rest = unpack(pack(head, body))
    assert found == head
    assert bytes(rest) == body


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\1\0\0",
        b"\5\0\0\0{}",
        b"\xff\xff\xff\xff{}",
        (HEAD_BYTES + 1).to_bytes(4, "little") + b"{" + b" " * HEAD_BYTES + b"}",
        b"\2\0\0\0[]",
        b"\1\0\0\0{",
        b"\2\0\0\0\xff\xfe",
        (9000).to_bytes(4, "little") + b"[" * 9000,
    ],
)
def test_other_messages_are_refused(message: bytes) -> None:
    with pytest.raises(WireError):
        unpack(message)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(message: bytes) -> None:
    try:
        head, body = unpack(message)
    except WireError:
        return
    assert isinstance(head, dict)
    assert json.dumps(head)
    assert len(body) < len(message)
