"""The result page as a file: complete, escaped, asking for nothing, saying what it leaves out."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from page_runs import HOSTILE, make_page, write_runs
from run_folders import write_run
from stream_runs import write_stream
from typer.testing import CliRunner

from cvis.cli.app import app
from cvis.errors import UserError
from cvis.report import load_runs
from cvis.report.page.build import Options, build
from cvis.report.page.facts import environments, read_record, run_table
from cvis.report.page.render import GENERATOR
from cvis.report.page.videos import choose, make_videos
from cvis.report.published import load_published
from cvis.report.table import comparison
from cvis.report.views import entries

CLI = CliRunner()


class Elements(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def text(runs, tmp_path_factory):
    return written(runs, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def panels(runs):
    return build(load_runs([runs]), Options(videos=0)).panels


@pytest.fixture
def one(tmp_path):
    """A single run."""
    write_run(tmp_path / "one")
    return tmp_path / "one"


def written(runs, out, **options):
    return make_page(runs, out, **options).read_text(encoding="utf-8")


def test_nothing_is_fetched_and_the_policy_forbids_it(text):
    page = Elements(text)
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        for key in ("src", "href", "xlink:href", "poster", "srcset", "action", "data"):
            assert (attributes.get(key) or "#").startswith(("#", "data:")), (tag, attributes)
        assert not any(key.startswith("on") for key in attributes)
    policies = (a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    policy = next(policies)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"].startswith("'sha256-")
    assert "unsafe" not in rules["script-src"]
    assert not re.search(r"url\((?!['\"]?#)|@import", page.text)


def test_the_same_runs_give_the_same_page(runs, text, tmp_path):
    assert written(runs, tmp_path) == text


def test_the_numbers_and_their_ranks_are_those_of_the_comparison(runs, panels):
    by_stream = {panel.scenario: panel for panel in panels}
    assert list(by_stream) == ["synthetic-20-4", "synthetic-10-10"]  # the one with most rows first
    for group in comparison(load_runs([runs]).runs):
        panel = by_stream[group.scenario]
        (block,), (table,) = group.blocks, panel.results
        place = [column.title for column in table.columns].index("mAP")
        cells = {row[0].key: row[place] for row in table.rows}
        for row in block.rows:
            expected = row.cells["mAP"]
            assert cells[row.name].key == expected.mean
            assert cells[row.name].rank == expected.rank


def test_a_random_text_encoder_is_named_wherever_its_row_is(panels):
    panel = panels[0]
    tables = [*panel.results, panel.runs, *(table for option in panel.steps for table in option.tables)]
    for table in tables:
        (row,) = (row for row in table.rows if row[0].text == "crisp")
        assert row[0].aside == "[random text encoder]"
    for name in (*(option.title for option in panel.classes), panel.protocols[0].title):
        assert "crisp" not in name or "crisp [random text encoder]" in name
    assert any("random weights" in note for note in panel.results[0].notes)


def test_another_protocol_stands_apart_with_its_key(tmp_path):
    write_stream(tmp_path, "finetune", mAP=10.0)
    write_stream(tmp_path, "lwf", mAP=20.0)
    write_stream(tmp_path, "other", mAP=90.0, protocol={"split_sha256": "bb"})
    (panel,) = build(load_runs([tmp_path]), Options(videos=0)).panels
    first, second = panel.results
    assert "other protocol" in second.title
    assert any("split_sha256 = 'bb', not 'aa'" in note for note in second.notes)
    assert {row[0].text for row in first.rows} == {"finetune", "lwf"}
    assert len(panel.protocols) == 2
    assert "split_sha256 = 'bb', not 'aa'" in panel.protocols[1].note


def test_every_key_of_the_protocol_is_on_the_page(runs, panels, text):
    panel = panels[0]
    (protocol,) = panel.protocols
    content = load_runs([runs]).runs[-1].protocol
    assert {fact.key for fact in protocol.facts} >= content.keys()
    (schedule,) = (fact for fact in protocol.facts if fact.key == "schedule")
    base = next(fact for fact in schedule.parts if fact.key == "base")
    assert base.parts[0].text == "10"  # schedule.base.iterations
    assert [step.text for step in panel.stream] == ["ape, cat", "dog & <b>", "yak"]
    assert "split_sha256" in Elements(text).text
    assert "ape, cat" in Elements(text).text


def test_classes_not_learned_yet_have_no_number(panels):
    (option,) = (option for option in panels[0].classes if option.title.startswith("CoMBO"))
    (table,) = option.tables
    rows = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert rows["yak"] == ["2", "·", "·", "30.0", "-"]
    assert rows["ape"] == ["0", "40.0", "30.0", "20.0", "20.0"]  # best 40 - last 20
    assert rows["dog & <b>"] == ["1", "·", "50.0", "60.0", "-10.0"]


def test_the_environment_is_read_from_run_json_and_may_be_missing(tmp_path):
    known, lost = write_stream(tmp_path, "known"), write_stream(tmp_path, "lost")
    record = {
        "wall_s": 3725.0,
        "peak_mem_mb": 2048,
        "environment": {"gpu": "H200", "cvis": "0.1.0", "packages": {"torch": "2.11"}, "git": {"commit": "ab" * 20}},
        "command": "cvis run synthetic-20-4 --learner known",
    }
    (known / "run.json").write_text(json.dumps(record))
    (lost / "run.json").write_text("{not json")
    runs = load_runs([tmp_path]).runs
    with_place, without = environments(runs, {run.path: read_record(run.path) for run in runs})
    assert "H200" in with_place.title
    assert {"packages", "git", "command"} <= {fact.key for fact in with_place.facts}
    assert "missing or damaged" in without.note
    table = run_table(runs, {run.path: read_record(run.path) for run in runs}, "p")
    cells = {row[0].text: [cell.text for cell in row] for row in table.rows}
    assert {"1 h 02 min", "2.0 GiB", "H200", "2.11", "ababababab"} <= set(cells["known"])


def test_what_was_left_out_is_listed_with_its_reason(one, tmp_path):
    (one / "broken").mkdir()
    (one / "broken" / "metrics.json").write_text("{")
    page = Elements(written(one, tmp_path / "out"))
    assert str(one / "broken" / "metrics.json") in page.text
    assert "is not complete JSON" in page.text
    assert "1 run was left out" in page.text


def test_published_numbers_only_on_request_and_apart(tmp_path):
    write_stream(tmp_path, scenario=load_published()[0].scenario)
    store = load_runs([tmp_path])
    (plain,) = build(store, Options(videos=0)).panels
    (panel,) = build(store, Options(videos=0, with_published=True)).panels
    assert len(plain.results) == 1
    assert len(panel.results) > 1
    ours, *papers = panel.results
    assert {row[-1].text for row in ours.rows} == {"ours"}
    for table in papers:
        assert {row[-1].text for row in table.rows} == {"paper"}
        assert "published" in table.title
        assert table.notes  # how they were measured


def test_hostile_text_is_escaped_everywhere(tmp_path):
    write_stream(tmp_path / "runs", label=HOSTILE, protocol={HOSTILE: [HOSTILE]}, final={"plasticity": 3.0})
    text = written(tmp_path / "runs", tmp_path / "out", title=HOSTILE)
    assert "<script>alert" not in text
    page = Elements(text)
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert HOSTILE in page.text


def test_a_foreign_page_is_not_overwritten_and_our_own_is(one, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.html").write_text("<html>my home page")
    with pytest.raises(UserError, match=r"index.html: was not made by `cvis report`"):
        make_page(one, out)
    assert (out / "index.html").read_text() == "<html>my home page"
    (out / "index.html").unlink()
    assert GENERATOR in written(one, out)[:500]
    written(one, out)
    with pytest.raises(UserError, match="is a file; give a folder"):
        make_page(one, out / "index.html")


def test_without_the_data_set_the_page_is_made_and_says_so(one, tmp_path):
    page = Elements(written(one, tmp_path / "out", videos=1))
    assert "No videos of" in page.text
    assert not any(tag == "video" for tag, _ in page.tags)


def test_every_learner_is_shown_on_the_chosen_videos(finished):
    (row,) = entries(load_runs([finished]).runs)
    rows = [row, replace(row, row=replace(row.row, label="other"))]
    (group,), notes = make_videos(rows, 1, None, 10**7)
    assert [video.learner for video in group.videos] == ["finetune", "other"]
    assert group.videos[0].source.startswith("data:video/mp4;base64,")
    assert notes == ()
    small, notes = make_videos(rows, 2, None, 1)
    assert small == ()
    assert notes[0].startswith("4 more videos were left out")


def test_videos_with_old_and_new_objects_come_first(finished):
    from cvis.report.pictures.recorded import open_recorded

    test = open_recorded(finished).test
    run = load_runs([finished]).runs[0]
    base = set(run.groups[0])

    def mixed(video):
        kinds = [track.category_id in base for track in test.tracks[video.id]]
        return min(kinds.count(True), kinds.count(False))

    worth = [mixed(video) for video in choose(test, run.groups, len(test.videos))]
    assert worth == sorted(worth, reverse=True)
    assert choose(test, run.groups, 2) == choose(test, run.groups, len(test.videos))[:2]


def test_the_command_prints_the_path_and_strict_fails(one, tmp_path):
    out = tmp_path / "out"
    result = CLI.invoke(app, ["report", str(one), "--out", str(out), "--no-videos", "--title", "Mine"])
    assert (result.exit_code, result.stdout) == (0, f"{out / 'index.html'}\n")
    assert "<h1>Mine</h1>" in (out / "index.html").read_text()
    (one / "broken").mkdir()
    (one / "broken" / "metrics.json").write_text("{")
    lenient = CLI.invoke(app, ["report", str(one), "--out", str(out), "--no-videos"])
    assert lenient.exit_code == 0
    assert "left out: " in lenient.stderr
    assert CLI.invoke(app, ["report", str(one), "--out", str(out), "--no-videos", "--strict"]).exit_code == 2


def test_a_folder_without_runs_is_refused_with_the_reason(tmp_path):
    folder = write_run(tmp_path)
    (folder / "metrics.json").write_text("{}")
    result = CLI.invoke(app, ["report", str(tmp_path), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "no finished run found" in result.stderr
    assert not (tmp_path / "out").exists()
