import io
import json
import sys

import pytest

from pellucid.cli.printing import print_json

ODD = {"name": "schön \U0001f600 \udc80.png"}


@pytest.mark.parametrize(
    ("encoding", "kept", "escaped"),
    [("utf-8", "schön \U0001f600", "\\udc80"), ("ascii", "sch\\u00f6n", "\\ud83d\\ude00 \\udc80")],
)
def test_what_cannot_be_encoded_is_escaped_and_reads_the_same(
    monkeypatch: pytest.MonkeyPatch, encoding: str, kept: str, escaped: str
) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    print_json(ODD)
    stream.flush()
    text = written.getvalue().decode(encoding)
    assert kept in text
    assert escaped in text
    assert json.loads(text) == ODD
