"""Run the reliability tests and write what they prove: each fault, what happens, which test shows it, and how often.

    python scripts/reliability.py --kills 20 --update docs/reliability.md
    python scripts/reliability.py --rows --update docs/reliability.md         # after a change of tests, without a run

A row is the docstring of a test: "fault: what happens". Counts are what tests record (``record_property``).
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from cvis.atomic import write_text

ROOT = Path(__file__).resolve().parents[1]
FOLDER = "tests/reliability"
ELSEWHERE = (  # faults whose tests stand beside what they are about
    "tests/engine/test_run.py::test_a_loss_that_is_not_finite_in_one_process_stops_both",
    "tests/engine/test_run.py::test_a_gradient_that_is_not_finite_names_its_clips",
    "tests/engine/test_resume.py::test_a_damaged_checkpoint_is_named",
    "tests/runs/test_verify.py::test_every_edit_is_found",
    "tests/runs/test_verify.py::test_edited_predictions_are_found",
    "tests/runs/test_bundle.py::test_a_bundle_whose_numbers_were_edited_is_found",
    "tests/runs/test_bundle.py::test_what_cvis_bundle_would_not_write_is_refused",
)
COUNTS = {"kills": "kills survived", "mutations": "mutations of files tried", "inputs": "inputs fuzzed"}
BEGIN, END = "<!-- generated: begin {} -->", "<!-- generated: end {} -->"


@dataclass(frozen=True)
class Proof:
    """A fault, what happens, and the test (``file::function``) that shows it."""

    fault: str
    outcome: str
    test: str


def proofs(root: Path = ROOT) -> Iterator[Proof]:
    """Of every test in the folder that says what it proves, and of those elsewhere."""
    inside = (path.relative_to(root).as_posix() for path in sorted((root / FOLDER).glob("test_*.py")))
    named = [(file, None) for file in inside] + [tuple(test.split("::")) for test in ELSEWHERE]
    for file, wanted in named:
        for node in ast.parse((root / file).read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            said = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
            if node.name == wanted or (wanted is None and said):
                fault, _, outcome = said.partition(": ")
                yield Proof(fault, outcome, f"{file}::{node.name}")


def run(kills: int, report: Path) -> int:
    """Run the tests; pytest's exit code."""
    files = [FOLDER, *ELSEWHERE]
    command = [sys.executable, "-m", "pytest", "-q", *files, f"--junitxml={report}", "-o", "junit_family=xunit1"]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "CVIS_KILLS": str(kills)}).returncode


def read(report: Path) -> tuple[Counter[str], dict[str, str]]:
    """The counts that tests recorded, and of each test its worst outcome."""
    counts: Counter[str] = Counter()
    outcomes: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        test = f"{case.get('file') or _file(case.get('classname', ''))}::{case.get('name', '').partition('[')[0]}"
        outcome = next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed")
        if outcomes.get(test, "passed") == "passed":
            outcomes[test] = outcome
        for entry in case.iter("property"):
            if entry.get("name") in COUNTS:
                counts[str(entry.get("name"))] += int(entry.get("value", "0"))
    return counts, outcomes


def _file(classname: str) -> str:
    return classname.replace(".", "/") + ".py"


def faults() -> str:
    """The table."""
    lines = ["| fault | what happens | test |", "|---|---|---|"]
    for proof in proofs():
        file, _, name = proof.test.partition("::")
        cells = (proof.fault, proof.outcome, f"[`{name}`](../{file})")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def last_run(counts: Counter[str], outcomes: dict[str, str], kills: int) -> str:
    """What was counted, and what was left out."""
    tests = Counter(outcomes.values())
    skipped = f", {tests['skipped']} skipped" if tests["skipped"] else ""
    lines = [f"Counts of the last run of `python scripts/reliability.py --kills {kills}`:", ""]
    lines += [f"- tests passed: {tests['passed']}{skipped}"]
    lines += [f"- {what}: {counts[name]}" for name, what in COUNTS.items() if counts[name]]
    return "\n".join(lines) + "\n"


def updated(page: str, region: str, text: str) -> str:
    """The page with other text between the two marks of a region.

    Raises:
        ValueError: it lacks them.
    """
    first, last = BEGIN.format(region), END.format(region)
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"the page lacks {first} or {last}")
    return f"{before}{first}\n{text}{last}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="of each of the learners that are killed")
    parser.add_argument("--rows", action="store_true", help="run nothing: the table alone, the counts stay")
    parser.add_argument("--update", type=Path, help="a page with marks; without it the parts are printed")
    options = parser.parse_args()
    parts = {"faults": faults()}
    if not options.rows:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "junit.xml"
            if code := run(options.kills, report):
                return code  # a page tells what is proven
            parts["counts"] = last_run(*read(report), options.kills)
    page = options.update.read_text(encoding="utf-8") if options.update else ""
    for region, text in parts.items():
        if options.update is None:
            print(text)
        else:
            page = updated(page, region, text)
    if options.update is not None:
        write_text(options.update, page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
