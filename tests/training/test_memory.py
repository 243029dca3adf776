import platform
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, torch
from pellucid.training.memory import keep_freed_memory

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(12 << 20).add(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = new_pages()
assert keep_freed_memory()
print(before, min(new_pages() for _ in range(4)))  # now and then the heap still grows in the first rounds
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep memory")
def test_the_memory_of_a_step_serves_the_next_step_without_new_pages() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT_FAULTS], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after < before / 100
