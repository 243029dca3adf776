"""What the names of folders say of their images: normal ones, defects, masks; and MVTec AD's layout.

MVTec AD and its like have, for each category, `train/good/`, `test/` with a folder for each kind of defect
beside `good/`, and `ground_truth/` with masks.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool

from pellucid.data.images import printable

_NORMAL = ("good", "normal", "ok")
_TESTS = ("test", "ground_truth")
_MASKS = ("ground_truth", "groundtruth", "mask", "masks")


def in_normal_folder(names: Sequence[str]) -> Bool[np.ndarray, " image"]:
    """Tell which images lie in a folder that is called good, normal or ok, or below one."""
    return np.array([_above(name, _NORMAL) is not None for name in names], bool)


def to_train_on(names: Sequence[str]) -> tuple[Bool[np.ndarray, " image"], str]:
    """Leave out the tests and masks of MVTec AD's layout, of one category or of several.

    Args:
        names: Of images, relative to their folder.

    Returns:
        bool [image], whether it is left; and what to say of it, "" if this is not that layout.
    """
    trained = {_above(name, ("train",)) for name in names if _above(name, _NORMAL) is not None}
    categories = (trained & {_above(name, ("test",)) for name in names}) - {None}
    kept = np.array([_above(name, _TESTS) not in categories for name in names], bool)
    if not categories:
        return kept, ""
    return kept, (
        f"MVTec AD's layout: read are the {kept.sum():,} images in train/, not the {(~kept).sum():,} in "
        "test/ and ground_truth/. Name these folders themselves to have their images."
    )


def notes_on_roles(names: Sequence[str]) -> Iterator[str]:
    """Say which images are hardly meant to be taken together with the others: masks, and defects."""
    masks = [name for name in names if _above(name, _MASKS) is not None or "_mask." in name]
    if 0 < len(masks) < len(names):
        yield (
            f"{len(masks):,} of {len(names):,} images seem to be masks, as {printable(masks[0])}, and are "
            "read like the others. Name a folder without them."
        )
    seen, places = set(masks), {_above(name, _NORMAL) for name in names}
    beside = Counter[str]()
    for name in names:
        if name not in seen and _above(name, _NORMAL) is None:
            beside.update(folder for above, folder in _folders(name) if above in places)
    if beside:
        some = ", ".join(f"{printable(folder)} ({count:,})" for folder, count in beside.most_common(5))
        more = f" and {len(beside) - 5:,} more folders" if len(beside) > 5 else ""
        count = int(in_normal_folder(names).sum())
        yield f"Beside {count:,} images in folders called good, normal or ok lie others: {some}{more}."


def _folders(name: str) -> list[tuple[str, str]]:
    """Each folder of a path, and all that stands before it: `a/b/c.png` has `("", "a")` and `("a/", "b")`."""
    parts = name.split("/")
    return [("".join(f"{part}/" for part in parts[:at]), parts[at]) for at in range(len(parts) - 1)]


def _above(name: str, wanted: Sequence[str]) -> str | None:
    """What stands before the first folder of a path that is called so; None if there is none."""
    return next((above for above, folder in _folders(name) if folder.lower() in wanted), None)
