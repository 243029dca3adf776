"""Pictures from web servers, which may be hostile: what is fetched, listed and told of an address."""

import asyncio
import errno
import re
from collections import deque
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import unquote

from pellucid.data.paths import printable

MAX_ANSWER_BYTES = 32 << 20
"""Of an answer to a request that names no range: a listing, or a small file."""
MOST_FOLDERS, MOST_FILES = 10_000, 1_000_000
_SECONDS = 300.0
"""For one answer, however slowly it comes."""

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_PIECE_BYTES = 1 << 16
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^\s/@]*@)?([^\s?#]*)((?:[?#]\S*)?)", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """Leave out of addresses what lets others in: `user:password@`, and over http what follows `?`."""
    return _ADDRESS.sub(
        lambda found: found[1] + found[2] + ("" if found[1].lower().startswith("http") else found[3]), text
    )


def reason_of(error: Exception) -> str:
    """What an error says, in one short line without secrets; its type if it says nothing."""
    told = error.__cause__ or error  # fsspec says no more than that a file cannot be found
    line = without_secrets(printable(str(told).partition("\n")[0]))
    return line[:200] or type(told).__name__


def is_web(url: str) -> bool:
    """Tell whether an address is of a web server."""
    return url.lower().startswith(("http://", "https://"))


async def client(**options: Any) -> Any:
    """Give the aiohttp.ClientSession that fsspec asks web servers with.

    It goes to no other host than it was sent to, and reads no more of an answer than was asked for, whatever
    the server says; answers are taken as they are, so none unpacks into more.

    Raises:
        ImportError: If aiohttp is not installed.
    """
    import aiohttp

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_stay)
    return aiohttp.ClientSession(
        response_class=_counted_response(),
        trace_configs=[trace],
        auto_decompress=False,
        headers={"Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60),
        **options,
    )


@lru_cache(maxsize=1)
def _counted_response() -> type[Any]:
    """The class of answers for aiohttp, which read no more than the range that was asked for."""
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
                async with asyncio.timeout(_SECONDS):
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


async def _stay(session: Any, context: Any, redirect: Any) -> None:
    """Refuse to be sent to another host: it may be one that only this machine can reach."""
    there = redirect.response.headers.get("Location") or redirect.response.headers.get("URI", "")
    old, new = redirect.url, redirect.url.join(type(redirect.url)(there))
    secured = old.scheme == "http" and old.is_default_port() and old.origin().with_scheme("https")
    if new.origin() not in (old.origin(), secured):
        redirect.response.close()
        raise OSError(f"the server sends on to {without_secrets(str(new))}; name that address if it is meant")


def listed(filesystem: Any, root: str, *, depth: int | None = None) -> dict[str, dict[str, Any]]:
    """List the files below a folder of a web server, by the links in its pages.

    Args:
        filesystem: fsspec's.
        root: The folder's address; links that lead out of it are not followed.
        depth: How many folders deep; None for all.

    Returns:
        Address -> what the listing says of it; where the page has no links, of the address itself.

    Raises:
        OSError: If there are more than 10,000 folders or 1,000,000 files, or a page cannot be read.
    """
    root = root.rstrip("/")
    found, seen = dict[str, dict[str, Any]](), {root}
    left = deque([(root, 1)])
    while left:
        folder, level = left.popleft()
        for info in filesystem.ls(f"{folder}/", detail=True):
            name = str(info["name"]).rstrip("/")
            if not _below(name, folder):
                continue
            if info["type"] != "directory":
                found[name] = info
            elif name not in seen and (depth is None or level < depth):
                seen.add(name)
                left.append((name, level + 1))
            if len(seen) > MOST_FOLDERS or len(found) > MOST_FILES:
                raise OSError(
                    f"more than {MOST_FOLDERS:,} folders or {MOST_FILES:,} files are listed; name some"
                )
    return found or {root: filesystem.info(root)}


def matching(filesystem: Any, root: str, pattern: str) -> dict[str, dict[str, Any]]:
    """List the files of a web server whose address fits a pattern with `*`; see `listed`."""
    from fsspec.utils import glob_translate

    depth = None if "**" in pattern else pattern.removeprefix(f"{root}/").count("/") + 1
    wanted = re.compile(glob_translate(pattern))
    return {name: info for name, info in listed(filesystem, root, depth=depth).items() if wanted.match(name)}


def _below(name: str, folder: str) -> bool:
    """Whether a link leads to something in a folder: not up, and not to the folder in another order."""
    path = name.removeprefix(f"{folder}/").partition("?")[0].partition("#")[0]
    for _ in range(3):  # servers decode once, those behind them again
        path = unquote(path)
    return (
        name.startswith(f"{folder}/") and bool(path) and not {"", ".", ".."} & set(re.split(r"[/\\]", path))
    )
