"""Where a run's own files go: in its folder, never through a link to somewhere else."""

from pathlib import Path

from pellucid.errors import RunError


def inside(folder: Path, part: str | Path) -> Path:
    """Give the path of a file or folder inside a run, or another folder that Pellucid writes.

    A run may come from a stranger: a link in it, such as `training` to somebody's home, would let a
    command write there.

    Args:
        folder: The run; it may itself be reached by links.
        part: Relative, with neither a root nor `..`.

    Raises:
        RunError: If the part, or a folder on the way to it, is a symbolic link.
    """
    path = folder
    for name in Path(part).parts:
        path /= name
        if path.is_symlink():
            raise RunError(
                f"{path}: expected a file or folder of the run's own, got a link to {path.readlink()}. "
                "Remove the link, or put in its place what it leads to."
            )
    return path
