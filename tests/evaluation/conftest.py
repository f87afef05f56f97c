import numpy as np
import pytest

from cvis.evaluation import protocol


@pytest.fixture
def small_ranges(monkeypatch):
    """Area ranges that split masks of a few pixels; both oracles read them from the same place."""
    monkeypatch.setattr(protocol, "AREAS", np.array([[0, 1e10], [0, 12], [12, 40], [40, 1e10]], dtype=np.float64))
