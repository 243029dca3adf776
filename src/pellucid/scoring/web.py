"""Answers of web servers, counted while they come: one may send more than it was asked for, without end."""

import errno
import re
from functools import lru_cache
from io import BytesIO
from typing import Any

MAX_ANSWER_BYTES = 32 << 20
"""Of an answer to a request that names no range: a listing, or a small file."""
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_PIECE_BYTES = 1 << 16


@lru_cache(maxsize=1)
def counted_response() -> type[Any]:
    """The class of answers for aiohttp, which read no more than the range that was asked for.

    Raises:
        ImportError: If aiohttp is not installed.
    """
    import aiohttp

    class CountedResponse(aiohttp.ClientResponse):
        """An answer that is cut behind the range that was asked for, or refused if it names none."""

        async def read(self) -> bytes:
            """Read the answer.

            Raises:
                OSError: If it is longer than what was asked for, and does not begin where that does.
            """
            if self._body is None:
                asked = _RANGE.fullmatch(self.request_info.headers.get("Range", ""))
                begin, end = map(int, asked.groups()) if asked else (0, MAX_ANSWER_BYTES - 1)
                limit, content = end - begin + 1, BytesIO()
                async for piece in self.content.iter_chunked(_PIECE_BYTES):
                    left = limit - content.tell()
                    content.write(piece[:left])
                    if len(piece) > left:
                        self.close()  # what else comes is not waited for
                        if begin or not asked:
                            raise OSError(errno.EFBIG, f"the server sent more than {limit:,} bytes")
                        break
                self._body = content.getvalue()
            return self._body

    return CountedResponse
