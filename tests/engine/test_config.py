"""What the command line may set, and how it is refused."""

import pytest
from tiny import settings

from cvis.engine.config import dump, fingerprint, parse_value, resolve
from cvis.errors import UserError
from cvis.files import shipped
from cvis.segmenters import build_segmenter


def test_every_shipped_schedule_resolves_for_every_learner():
    for schedule in (shipped("configs") / "schedules").glob("*.py"):
        for learner in ("finetune", "joint", "eclipse", "crisp"):
            config = resolve("synthetic-20-4", learner, schedule=schedule.stem)
            assert config["schedule"]["base"]["iterations"] > 0


@pytest.mark.parametrize(
    ("name", "base", "incremental"),
    [
        ("ytvis2019-20-4", 1500, 600),
        ("ytvis2019-20-2", 1500, 300),
        ("ytvis2021-20-5", 1500, 1500),
        ("ytvis2021-10-10", 750, 3000),
    ],
)
def test_published_schedules(name, base, incremental):
    """methods: 150 iterations per class on YTVIS-2019, 300 on 2021; batch 16, 1e-4, clip 0.01."""
    schedule = resolve(name, "finetune", segmenter="mask2former_r50")["schedule"]
    assert schedule["base"]["iterations"] == base
    assert schedule["incremental"]["iterations"] == incremental
    assert (schedule["batch_size"], schedule["base"]["lr"], schedule["clip_grad"]) == (16, 1e-4, 0.01)


def test_a_shipped_config_is_short():
    for file in shipped("configs").rglob("*.py"):
        text = file.read_text()
        assert len(text.splitlines()) <= 40, file
        assert text.count("_base_") <= 1, file


def test_overrides_win_and_keep_their_type():
    config = resolve("synthetic-20-4", "finetune", overrides=["schedule.base.lr=1", "schedule.joint.iterations=7"])
    assert config["schedule"]["base"]["lr"] == 1
    assert config["schedule"]["joint"]["iterations"] == 7


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("schedule.bass.lr=1", "--set schedule.bass.lr: no such key; known under schedule: backbone_lr_mult, base"),
        ("schedule.base.lrr=1", "no such key; known under schedule.base: iterations, lr, policy"),
        ("learner.arsp=false", "no such key; known under learner: type"),
        ("schedule.base.lr", "is not key=value"),
        ("schedule.base.lr=fast", "'fast' is not of the type of its default 0.001"),
        ("schedule.base.iterations=1.5", "1.5 is not of the type of its default 2000"),
        ("schedule.base.iterations=0", "schedule.base.iterations: 0 is not possible; give a whole number >= 1"),
        ("protocol.freeze=all", "protocol.freeze: 'all' is not possible; choose one of backbone, none"),
        ("runtime.device.index=1", "no such key"),
        ("schedule.base.lr=-1", "schedule.base.lr: -1 is not possible; give a number above 0"),
        ("schedule.scale=1e999", "schedule.scale: inf is not possible"),
        ("schedule.joint.iterations=abc", "schedule.joint.iterations: 'abc' is not possible; give a whole number >= 1"),
        ('sampling.short_sides=["a"]', "sampling.short_sides: ['a'] is not possible; give sizes like [360]"),
        ("runtime.data=5", "runtime.data: 5 is not possible; give a text"),
        ("learner.type=joint", "--set learner.type: cannot be set"),
        ("names.run=../up", "--set names.run: cannot be set"),
    ],
)
def test_bad_overrides_are_named(override, message):
    with pytest.raises(UserError) as caught:
        resolve("synthetic-20-4", "finetune", overrides=[override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(learner="finetuna"), "learner: 'finetuna' does not exist; choose one of balconpas, combo,"),
        (dict(learner="nowhere.py:Mine"), "nowhere.py: no such file"),
        (dict(learner="finetune", segmenter="yolo"), "segmenter: 'yolo' does not exist; choose one of mask2former"),
        (dict(learner="finetune", schedule="long"), "schedule: 'long' does not exist; choose one of default"),
    ],
)
def test_unknown_parts_are_named(arguments, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        resolve("synthetic-20-4", **arguments)


def test_a_config_file_that_is_broken_is_named(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("segmenter = dict(\n")
    with pytest.raises(UserError, match=r"mine\.py: is not a valid config file"):
        resolve("synthetic-20-4", "finetune", segmenter=str(file))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "schedule = dict(base=dict(iteration=3))",
            "schedule.base.iteration: no such key; known in schedule.base",
        ),
        ("schedule = dict(base=5)", "schedule.base: 5: is not a dict(...) of iterations"),
        ("runtime = dict(sed=3)", "runtime.sed: no such key"),
        ("foo = 1", "foo: no such key"),
        ("x = 1 / 0", "is not a valid config file: ZeroDivisionError"),
    ],
)
def test_unknown_keys_in_files_are_named(tmp_path, text, message):
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        resolve("synthetic-20-4", "finetune", schedule=str(file))
    assert message in str(caught.value)


def test_a_run_name_stays_in_its_folder():
    with pytest.raises(UserError, match=r"names\.run: '\.\./up' is not possible"):
        resolve("synthetic-20-4", "finetune", name="../up")


def test_a_segmenter_key_that_its_file_leaves_out_may_be_set_and_is_checked_when_built():
    override = "segmenter.test.short_side=64"
    config = resolve("synthetic-20-4", "finetune", segmenter="mask2former_r50", overrides=[override])
    assert config["segmenter"]["test"] == {"short_side": 64}
    with pytest.raises(UserError, match=r"segmenter\.test: .*'shrt_side'"):
        build_segmenter({**config["segmenter"], "test": {"shrt_side": 64}})


@pytest.mark.parametrize(
    "override",
    ["segmenter.num_queries=0", "segmenter.criterion.num_points=0", "segmenter.decoder.heads=3", "segmenter.dim=7"],
)
def test_segmenter_values_that_cannot_be_built_are_one_line(override):
    config = resolve("synthetic-20-4", "finetune", overrides=[override])
    with pytest.raises(UserError) as caught:
        build_segmenter(config["segmenter"])
    assert "\n" not in str(caught.value)


def test_whole_numbers_may_be_written_as_floats():
    assert resolve("synthetic-20-4", "finetune", overrides=["schedule.batch_size=2.0"])["schedule"]["batch_size"] == 2


def test_the_dump_reads_back(stream, tmp_path):
    config = settings(stream, tmp_path)
    namespace: dict = {}
    exec(dump(config), namespace)
    assert {key: namespace[key] for key in config} == config


def test_speed_settings_do_not_change_the_identity_of_a_run(stream, tmp_path):
    one = settings(stream, tmp_path)
    other = settings(stream, tmp_path, "finetune", "runtime.workers=3", "runtime.checkpoint_every=9")
    third = settings(stream, tmp_path, "finetune", "runtime.seed=3")
    assert fingerprint(one) == fingerprint(other) != fingerprint(third)


def test_values_are_literals_or_text():
    assert parse_value("None") is None
    assert parse_value("False") is False
    assert parse_value("a/b.pth") == "a/b.pth"
