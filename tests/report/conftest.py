"""The browser and the page that the tests of the result page share."""

import pytest
from browser import chromium
from page_runs import make_page, write_runs


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    root = tmp_path_factory.mktemp("page")
    return make_page(write_runs(root / "runs"), root / "out")
