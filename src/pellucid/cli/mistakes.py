"""What went wrong, in the one line that a person reads."""

import errno

from cyclopts import CycloptsError, UnknownOptionError, UnusedCliTokensError

from pellucid.data.paths import printable
from pellucid.errors import PellucidError

_LONGEST = 2_000  # characters: a file of somebody else's may have put anything into it
_WHAT_TO_DO = {
    errno.ENOSPC: "Free some space.",
    errno.EDQUOT: "Free some space, or ask for more.",
    errno.EACCES: "Allow it, or name another place.",
    errno.EPERM: "Allow it, or name another place.",
    errno.EROFS: "Name another place.",
    errno.ENAMETOOLONG: "Name it shorter.",
    errno.ENOTDIR: "Name another place.",
    errno.EEXIST: "Name another place.",
    errno.EISDIR: "Name a file.",
}


def in_one_line(error: Exception) -> str | None:
    """What an error says, and what to do; None for what is a fault of Pellucid's, to be shown whole."""
    if isinstance(error, CycloptsError):
        return _of_command_line(error)
    if isinstance(error, PellucidError):
        text = printable(str(error))
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "not enough memory. Lower --batch-size, --size or --limit, or close other programs."
    if isinstance(error, OSError):
        advice = _WHAT_TO_DO.get(error.errno or 0, "")
        return f"{printable(str(error.filename or 'a file'))}: {error.strerror or error}. {advice}".rstrip()
    return None


def _of_command_line(error: CycloptsError) -> str:
    error.verbose = False  # else it tells where in Pellucid the command is defined
    if isinstance(error, UnusedCliTokensError):
        text = f"expected nothing more, got {', '.join(map(repr, error.unused_tokens or ()))}."
    else:
        text = " ".join(str(error).split())
    if isinstance(error, UnknownOptionError):
        name = error.token.keyword or error.token.value
        if "." in name:
            text += f" If it is a file, write ./{name}."
    command = " ".join(("pellucid", *(error.command_chain or ())))
    return printable(f"{text} See: {command} --help")
