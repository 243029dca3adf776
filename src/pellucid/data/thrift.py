"""Thrift's compact protocol, in which Parquet writes its footer and the headers of its pages.

It is read here before pyarrow reads it, because pyarrow allocates what a few bytes claim.
"""

from typing import Any

MAX_DEPTH = 32

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)


class CutError(ValueError):
    """The bytes end before the value does."""


class Compact:
    """A reader of bytes in the compact protocol.

    Attributes:
        at: Where it is.
        structs: How many structs it has read.
        elements: How many other elements of lists, sets and maps it has read.

    Args:
        data: The bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at, self.structs, self.elements = 0, 0, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Read a struct: its 32-bit integers and structs by the number of their field.

        Everything else is read over. Of a field that comes twice, the last one counts. What does not fit
        its type is refused: other readers cut it, and see another number.

        Raises:
            CutError: If the bytes end before the struct does.
            ValueError: If these bytes are none.
        """
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        self.structs += 1
        fields, field = dict[int, Any](), 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            field = field + step if step else self._signed(16)
            if not 0 < field < 1 << 15:
                raise ValueError("a field has no number")
            value = None if kind in (_TRUE, _FALSE) else self._value(kind, depth)
            if value is not None:
                fields[field] = value
        return fields

    def _value(self, kind: int, depth: int) -> int | dict[int, Any] | None:
        if kind == _I32:
            return self._signed(32)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        if kind in (_I16, _I64):
            self._number()
        elif kind in (_TRUE, _FALSE, _BYTE):  # in a list, a truth value takes a byte
            self._skip(1)
        elif kind == _DOUBLE:
            self._skip(8)
        elif kind == _BINARY:
            self._skip(self._number())
        elif kind in (_LIST, _SET):
            head = self._byte()
            self._elements(self._number() if head >> 4 == 15 else head >> 4, (head & 15,), depth)
        elif kind == _MAP:
            count = self._number()
            head = self._byte() if count else 0
            self._elements(count, (head >> 4, head & 15), depth)
        else:
            raise ValueError(f"there is no type {kind}")
        return None

    def _elements(self, count: int, kinds: tuple[int, ...], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        if count > len(self._data) - self.at:  # each takes a byte at least
            raise CutError("a list is longer than the bytes")
        for _ in range(count):
            for kind in kinds:
                self._value(kind, depth + 1)
                self.elements += kind != _STRUCT

    def _skip(self, count: int) -> None:
        self.at += count
        if self.at > len(self._data):
            raise CutError("the bytes end early")

    def _byte(self) -> int:
        if self.at >= len(self._data):
            raise CutError("the bytes end early")
        self.at += 1
        return self._data[self.at - 1]

    def _number(self) -> int:
        number, shift = 0, 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
            if shift > 63:
                raise ValueError("a number is too long")

    def _signed(self, bits: int) -> int:
        number = self._number()
        if number >> bits:
            raise ValueError("a number is too large for its type")
        return number >> 1 ^ -(number & 1)
