"""How many threads draw a picture: one."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread within, then with as many as before.

    A drawn picture is hundreds of small operations. Sharing each out among threads gains little, and where
    other programs use the cores it loses nearly all of the speed to waiting for one another.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
