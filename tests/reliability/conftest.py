import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def undisturbed(stream, tmp_path_factory):
    """The folder of a run of a learner that nothing happened to; each is made once."""
    from processes import Stream

    made = {}

    def folder_of(learner: str) -> Path:
        if learner not in made:
            whole = Stream(stream, tmp_path_factory.mktemp("undisturbed") / "runs", learner)
            assert whole.run() == 0, whole.said
            made[learner] = whole.folder
        return made[learner]

    return folder_of
