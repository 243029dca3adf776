import pytest
from bands import bands_model, bands_table

from pellucid.latents.names import LatentTable
from pellucid.model.predictor import Model


@pytest.fixture
def model() -> Model:
    return bands_model()


@pytest.fixture
def table() -> LatentTable:
    return bands_table()
