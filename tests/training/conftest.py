import pytest

from pellucid.model.architecture import Architecture


@pytest.fixture
def architecture() -> Architecture:
    return Architecture("burgess", 32, 1, 3)
