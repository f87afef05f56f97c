"""The mini set of real videos that lies beside the repository on some machines."""

from pathlib import Path

import pytest

REALVIS = Path(__file__).resolve().parents[2] / "shared" / "data" / "realvis"
needs_realvis = pytest.mark.skipif(not REALVIS.is_dir(), reason="the 39 real videos are not on this machine")
