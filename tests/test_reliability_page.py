"""docs/reliability.md names tests that there are, and every fault that one of them is about."""

import importlib.util
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
spec = importlib.util.spec_from_file_location("reliability", ROOT / "scripts" / "reliability.py")
reliability = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reliability)
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def test_the_page_is_up_to_date():
    """But for the counts, which are those of the last run."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    command = "python scripts/reliability.py --kills 20"
    everything_passed = {proof.test: "passed" for proof in reliability.proofs()}
    wanted = reliability.markdown(Counter(), everything_passed, command).splitlines()
    assert rows == [line for line in wanted if line.startswith("| ")]


def test_every_test_that_is_named_exists_and_says_what_it_proves():
    found = list(reliability.proofs())
    assert {proof.test for proof in found} >= set(reliability.ELSEWHERE)
    for proof in found:
        assert proof.fault, proof.test
        assert (ROOT / proof.test.partition("::")[0]).is_file()


def test_counts_and_outcomes_come_from_the_report(tmp_path):
    report = tmp_path / "junit.xml"
    case = '<testcase classname="tests.reliability.test_kills" name="test_killed[{}]" file="{}">{}</testcase>'
    kills = '<properties><property name="kills" value="3"/></properties>'
    file = "tests/reliability/test_kills.py"
    cases = [case.format("a", file, kills), case.format("b", file, f"{kills}<failure/>"), case.format("c", file, "")]
    report.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    counts, outcomes = reliability.read(report)
    assert counts == {"kills": 6}
    assert outcomes == {f"{file}::test_killed": "failure"}


def test_tables_go_between_the_marks():
    page = f"before\n{reliability.BEGIN}\nold\n{reliability.END}\nafter\n"
    assert reliability.updated(page, "new\n") == page.replace("old", "new")
    with pytest.raises(ValueError, match="lacks"):
        reliability.updated("no marks", "new\n")
