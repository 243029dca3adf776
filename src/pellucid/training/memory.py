"""Freed memory is kept for the next step, instead of being given back to the system and asked for anew."""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # glibc's names for what mallopt sets, from malloc.h
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell the C library to keep what this process frees; returns whether it took notice.

    A step asks for the same memory as the step before. glibc gives large blocks back to the kernel at
    once, which has to hand out zeroed pages for the next step: with large batches, almost half of the time
    (docs/performance.md). It holds for the whole process, whose memory then never shrinks below its peak.
    Other C libraries are left alone.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _LARGEST))
