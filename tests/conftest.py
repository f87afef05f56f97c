import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tiny import make_data, settings

os.environ.pop("COLUMNS", None)  # xdist sets it in its workers, and tables that are piped honour it


@pytest.fixture(scope="session")
def stream(tmp_path_factory) -> Path:
    """The toml file of the tiny stream."""
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CVIS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def finished(stream, tmp_path_factory) -> Path:
    """The folder of an undisturbed run of finetune on the tiny stream."""
    from cvis.engine.run import run  # loads torch, which most tests do without

    return run(settings(stream, tmp_path_factory.mktemp("runs")))
