"""What the command line may set, and how it is refused."""

import pytest
from tiny import settings

from cvis.engine.config import Config, dump, fingerprint
from cvis.engine.resolve import parse_value, resolve
from cvis.errors import UserError
from cvis.files import shipped
from cvis.segmenters import build_segmenter


def test_every_shipped_schedule_resolves_for_every_learner():
    for schedule in (shipped("configs") / "schedules").glob("*.py"):
        for learner in ("finetune", "joint", "eclipse", "crisp"):
            config = resolve("synthetic-20-4", learner, schedule=schedule.stem)
            assert config.schedule.base.iterations > 0


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
    schedule = resolve(name, "finetune", segmenter="mask2former_r50").schedule
    assert schedule.base.iterations == base
    assert schedule.incremental.iterations == incremental
    assert (schedule.batch_size, schedule.base.lr, schedule.clip_grad) == (16, 1e-4, 0.01)


def test_a_shipped_config_is_short():
    for file in shipped("configs").rglob("*.py"):
        text = file.read_text()
        assert len(text.splitlines()) <= 40, file
        assert text.count("_base_") <= 1, file


def test_overrides_win_and_keep_their_type():
    config = resolve("synthetic-20-4", "finetune", overrides=["schedule.base.lr=1", "schedule.joint.iterations=7"])
    assert config.schedule.base.lr == 1
    assert config.schedule.joint.iterations == 7


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("schedule.bass.lr=1", "schedule.bass: {'lr': 1}: no such key; did you mean 'base'?"),
        ("schedule.base.lrr=1", "schedule.base.lrr: 1: no such key; did you mean 'lr'?"),
        ("schedule.base.x=1", "schedule.base.x: 1: no such key; choose one of iterations, lr, policy"),
        ("schedule.base={'lr': 1}", "schedule.base.iterations: missing; add it"),
        ("schedule=5", "schedule: 5: not possible; it is a group of keys: batch_size, base, incremental, joint"),
        ("learner.arsp=false", "learner.arsp: False: no such key; choose one of analytic_head"),
        ("schedule.base.lr", "is not key=value"),
        ("schedule.base.lr=fast", "schedule.base.lr: 'fast': not possible; it should be a valid number"),
        ("schedule.base.lr='1'", "schedule.base.lr: '1': not possible; it should be a valid number"),
        ("schedule.base.lr=true", "schedule.base.lr: True: not possible; it should be a valid number"),
        ("schedule.base.iterations=1.5", "schedule.base.iterations: 1.5: not possible; it should be a valid integer"),
        ("schedule.base.iterations=true", "schedule.base.iterations: True: not possible; it should be a valid integer"),
        ("schedule.base.iterations=0", "schedule.base.iterations: 0: not possible; it should be greater than or equal"),
        ("schedule.base.iterations=null", "schedule.base.iterations: None: not possible; it should be a valid integer"),
        ("protocol.freeze=all", "protocol.freeze: 'all': not possible; choose 'backbone' or 'none'"),
        ("protocol.freeze=bakbone", "protocol.freeze: 'bakbone': not possible; did you mean 'backbone'?"),
        ("runtime.device.index=1", "runtime.device: {'index': 1}: not possible; choose 'auto', 'cpu' or 'cuda'"),
        ("schedule.base.lr=-1", "schedule.base.lr: -1: not possible; it should be greater than 0"),
        ("schedule.scale=1e999", "schedule.scale: inf: not possible; it should be a finite number"),
        (
            "schedule.joint.iterations=abc",
            "schedule.joint.iterations: 'abc': not possible; it should be a valid integer",
        ),
        ('sampling.short_sides=["a"]', "sampling.short_sides.0: 'a': not possible; it should be a valid integer"),
        ("sampling.short_sides=[]", "sampling.short_sides: []: not possible; list should have at least 1 item"),
        ("runtime.data=5", "runtime.data: 5: not possible; it should be a valid string"),
        ("segmenter.num_queries=many", "segmenter.num_queries: 'many' is not of the type of its default 10"),
        ("learner.type=joint", "--set learner.type: cannot be set"),
        ("names.run=../up", "--set names.run: cannot be set"),
        ("learner={'type': 'joint'}", "--set learner: cannot be set"),
        ("segmenter=5", "--set segmenter: cannot be set"),
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
        (dict(learner="finetuna"), "learner: 'finetuna' does not exist; did you mean 'finetune'"),
        (dict(learner="nowhere.py:Mine"), "nowhere.py: no such file"),
        (dict(learner="finetune", segmenter="yolo"), "segmenter: 'yolo' does not exist; choose one of "),
        (dict(learner="finetune", schedule="long"), "schedule: 'long' does not exist; choose one of crossvis, ctvis"),
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
            "mine.py: schedule.base.iteration: 3: no such key; did you mean 'iterations'?",
        ),
        ("schedule = dict(base=5)", "mine.py: schedule.base: 5: not possible; it is a group of keys: iterations, lr"),
        ("runtime = dict(sed=3)", "mine.py: runtime.sed: 3: no such key; did you mean 'seed'?"),
        ("foo = 1", "mine.py: foo: 1: cannot be set here; choose one of protocol, sampling, schedule, segmenter"),
        ("scenario = 'a'", "mine.py: scenario: 'a': cannot be set here; choose one of protocol"),
        ("segmenter = dict(type='a')", "mine.py: segmenter.type: 'a': cannot be set here; choose the segmenter with"),
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
    with pytest.raises(UserError, match=r"names\.run: '\.\./up': not possible; use letters, digits and"):
        resolve("synthetic-20-4", "finetune", name="../up")


def test_a_segmenter_key_that_its_file_leaves_out_may_be_set_and_is_checked_when_built():
    override = "segmenter.test.short_side=64"
    config = resolve("synthetic-20-4", "finetune", segmenter="mask2former_r50", overrides=[override])
    assert config.segmenter["test"] == {"short_side": 64}
    with pytest.raises(UserError, match=r"segmenter\.test: .*'shrt_side'"):
        build_segmenter({**config.segmenter, "test": {"shrt_side": 64}})


@pytest.mark.parametrize(
    "override",
    ["segmenter.num_queries=0", "segmenter.criterion.num_points=0", "segmenter.decoder.heads=3", "segmenter.dim=7"],
)
def test_segmenter_values_that_cannot_be_built_are_one_line(override):
    config = resolve("synthetic-20-4", "finetune", overrides=[override])
    with pytest.raises(UserError) as caught:
        build_segmenter(config.segmenter)
    assert "\n" not in str(caught.value)


def test_whole_numbers_may_be_written_as_floats():
    assert resolve("synthetic-20-4", "finetune", overrides=["schedule.batch_size=2.0"]).schedule.batch_size == 2


def test_the_dump_reads_back(stream, tmp_path):
    config = settings(stream, tmp_path)
    namespace: dict = {}
    exec(dump(config), namespace)
    assert Config(**{key: namespace[key] for key in Config.model_fields}) == config


def test_speed_settings_do_not_change_the_identity_of_a_run(stream, tmp_path):
    def printed(*overrides):
        return fingerprint(settings(stream, tmp_path, "finetune", *overrides).model_dump(mode="json"))

    assert printed() == printed("runtime.workers=3", "runtime.checkpoint_every=9") != printed("runtime.seed=3")


def test_a_run_older_than_a_key_has_its_default(stream, tmp_path):
    values = settings(stream, tmp_path).model_dump(mode="json")
    older = {**values, "schedule": {k: v for k, v in values["schedule"].items() if k not in ("optimizer", "momentum")}}
    assert fingerprint(older) == fingerprint(values)
    older["runtime"] = {k: v for k, v in values["runtime"].items() if k not in ("shipped_step0", "deterministic")}
    older["sampling"] = {k: v for k, v in values["sampling"].items() if k != "images"}
    assert fingerprint(older) == fingerprint(values)
    other = settings(stream, tmp_path, "finetune", "schedule.optimizer=sgd").model_dump(mode="json")
    assert fingerprint(older) != fingerprint(other)


def test_values_are_literals_or_text():
    assert parse_value("None") is None
    assert parse_value("False") is False
    assert parse_value("a/b.pth") == "a/b.pth"


@pytest.mark.parametrize(
    ("overrides", "is_base", "joint", "iterations"),
    [
        ((), True, False, 1500),
        ((), False, False, 300),
        ((), True, True, 1500 + 10 * 300),  # as long as the whole stream of eleven steps
        (("schedule.joint.iterations=7",), True, True, 7),
        (("schedule.scale=0.01",), True, True, 45),
        (("schedule.scale=1e-9",), False, False, 1),  # a step is never empty
    ],
)
def test_a_step_trains_under_its_phase(overrides, is_base, joint, iterations):
    config = resolve("ytvis2019-20-2", "finetune", segmenter="mask2former_r50", overrides=overrides)
    phase = config.schedule.phase(is_base, joint, steps=11)
    assert (phase.iterations, phase.lr, phase.policy) == (iterations, 1e-4, "multistep")


def test_a_configuration_cannot_be_changed(stream, tmp_path):
    with pytest.raises(ValueError, match="frozen"):
        settings(stream, tmp_path).schedule.base.lr = 1.0
