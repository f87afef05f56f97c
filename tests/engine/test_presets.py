"""Settings of a learner from files: sections for it in segmenter, schedule and preset files, and what wins."""

import pytest
from tiny import settings

from cvis.engine.config import dump, fingerprint
from cvis.engine.resolve import resolve
from cvis.errors import UserError
from cvis.files import shipped
from cvis.segmenters import build_segmenter

PRESETS = sorted(path.stem for path in (shipped("configs") / "presets").glob("*.py"))


def write(folder, name, text):
    file = folder / f"{name}.py"
    file.write_text(text)
    return str(file)


def test_a_later_file_wins_and_the_command_line_wins_over_all(tmp_path):
    def section(prompts):
        return f"learners = dict(eclipse=dict(num_prompts={prompts}))\n"

    tiny = shipped("configs") / "segmenters" / "mask2former_tiny.py"
    segmenter = write(tmp_path, "seg", tiny.read_text().partition("learners")[0] + section(2))
    schedule, preset = write(tmp_path, "sch", section(3)), write(tmp_path, "pre", section(4))

    def prompts(**files):
        return resolve("synthetic-20-4", "eclipse", **files).learner["num_prompts"]

    assert prompts(segmenter="mask2former_r50") == 10
    assert prompts(segmenter=segmenter) == 2
    assert prompts(segmenter=segmenter, schedule=schedule) == 3
    assert prompts(segmenter=segmenter, schedule=schedule, preset=preset) == 4
    assert prompts(preset=preset, overrides=["learner.num_prompts=5"]) == 5


def test_a_nested_setting_changes_alone_and_the_default_stays_as_it_was(tmp_path):
    schedule = write(tmp_path, "sch", 'learners = dict(crisp=dict(text_encoder=dict(pretrained="x.pt")))')
    config = resolve("synthetic-20-4", "crisp", segmenter="mask2former_r50", schedule=schedule)
    assert config.learner["text_encoder"] == {"model": "ViT-B-32-quickgelu", "pretrained": "x.pt"}
    again = resolve("synthetic-20-4", "crisp", segmenter="mask2former_r50")
    assert again.learner["text_encoder"] == {"model": "ViT-B-32-quickgelu", "pretrained": "openai"}


def test_the_tiny_segmenter_brings_a_tiny_random_text_encoder():
    assert resolve("synthetic-20-4", "crisp").learner["text_encoder"] == {"model": "tiny", "pretrained": "random"}


def test_the_command_line_reaches_into_a_learner():
    overrides = ["learner.arsp=false", "learner.text_encoder.pretrained=random", "learner.lambda_ic=1"]
    learner = resolve("synthetic-20-4", "crisp", segmenter="mask2former_r50", overrides=overrides).learner
    assert learner["arsp"] is False
    assert learner["text_encoder"] == {"model": "ViT-B-32-quickgelu", "pretrained": "random"}
    assert learner["lambda_ic"] == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "learner.text_encoder.weights=x",
            "learner.text_encoder.weights: 'x': no such key; choose one of model, pretrained",
        ),
        ("learner.arsp=0", "learner.arsp: 0: not possible; it should be a valid boolean"),
        (
            "learner.text_encoder=random",
            "learner.text_encoder: 'random': not possible; it is a group of keys: model, pretrained",
        ),
        ("names.preset=crisp_code", "--set names.preset: cannot be set"),
    ],
)
def test_bad_learner_overrides_are_named(override, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        resolve("synthetic-20-4", "crisp", overrides=[override])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "learners = dict(crips=dict(arsp=True))",
            "learners.crips: learner: 'crips' does not exist; did you mean 'crisp'?",
        ),
        ("learners = dict(crisp=dict(asrp=True))", "learners.crisp.asrp: True: no such key; did you mean 'arsp'?"),
        ("learners = dict(eclipse=dict(arsp=True))", "learners.eclipse.arsp: True: no such key; choose one of a"),
        ("learners = dict(finetune=dict(arsp=True))", "learners.finetune.arsp: True: no such key; choose one of a"),
        (
            "learners = dict(crisp=dict(text_encoder=dict(modle=1)))",
            "learners.crisp.text_encoder.modle: 1: no such key; did you mean 'model'?",
        ),
        (
            "learners = dict(crisp=dict(text_encoder=5))",
            "learners.crisp.text_encoder: 5: not possible; it is a group of keys: model, pretrained",
        ),
        ("learners = dict(crisp=True)", "learners.crisp: True: not possible; it is a group of keys: analytic_head"),
        ("learners = 5", "learners: 5: is not dict(<learner>=dict(key=value))"),
        ("runtime = dict(seed=3)", "runtime: {'seed': 3}: cannot be set here; choose one of protocol, sampling, sche"),
        ("learner = dict(arsp=True)", "learner: {'arsp': True}: cannot be set here; did you mean 'learners'?"),
        ("segmenter = dict(type='other')", "segmenter.type: 'other': cannot be set here; choose the segmenter with"),
        ("schedule = dict(base=dict(epochs=3))", "schedule.base.epochs: 3: no such key"),
    ],
)
def test_unknown_keys_of_a_file_are_named_with_the_file(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        resolve("synthetic-20-4", "crisp", preset=write(tmp_path, "mine", text))
    assert str(caught.value).startswith(f"{tmp_path}/mine.py: {message}")
    assert "\n" not in str(caught.value)


def test_a_preset_that_does_not_exist_is_named():
    with pytest.raises(UserError, match=r"preset: 'crisp' does not exist; did you mean 'crisp_(code|paper)'"):
        resolve("synthetic-20-4", "crisp", preset="crisp")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("learner", ["finetune", "eclipse", "crisp", "comformer"])
@pytest.mark.parametrize("segmenter", ["mask2former_tiny", "mask2former_r50"])
def test_every_preset_resolves_for_every_learner(preset, learner, segmenter):
    config = resolve("ytvis2019-20-4", learner, segmenter=segmenter, preset=preset)
    assert config.names.preset == preset
    assert config.names.run == f"{learner}-{preset}"
    assert config.protocol.init == "random"  # a preset downloads nothing


def test_the_two_presets_of_crisp_set_what_paper_and_code_disagree_on():
    def chosen(preset):
        config = resolve("ytvis2019-20-4", "crisp", segmenter="mask2former_r50", preset=preset)
        keys = ("matching", "isc_similarity", "pca_selection", "aux_supervision", "step0_ic")
        return [config.protocol.other_class_policy, *(config.learner[key] for key in keys)]

    assert chosen("crisp_paper") == ["drop", "dot", "cosine", "top_variance", "all", True]
    assert chosen("crisp_code") == ["empty_target", "cosine", "dot", "reference_norm", "first_last", False]


def test_the_two_presets_of_ctvis_are_built_and_set_what_paper_and_code_disagree_on():
    def chosen(preset):
        config = resolve("synthetic-20-4", "crisp", segmenter="ctvis_tiny", preset=preset)
        assert config.names.schedule == "tiny"
        assert config.learner["text_encoder"]["model"] == "tiny"  # what the tiny Mask2Former says of learners holds too
        model = build_segmenter(config.segmenter)
        recipe, weight = model._criterion.recipe, model._criterion.aux_weight
        frames, threshold = config.sampling.num_frames, model.inference.match_threshold
        return recipe.negatives, recipe.future, recipe.noise, recipe.bank_probability, weight, threshold, frames

    assert chosen("ctvis_paper") == ("ma+bg", False, 0.001, 1.0, 0.0, 0.5, 8)
    assert chosen("ctvis_code") == ("queries", True, 0.0, 0.5, 3.0, 0.3, 10)


def test_a_preset_changes_single_keys_of_the_segmenter():
    plain = resolve("ytvis2019-20-4", "crisp", segmenter="mask2former_r50").segmenter
    code = resolve("ytvis2019-20-4", "crisp", segmenter="mask2former_r50", preset="crisp_code").segmenter
    assert code == {**plain, "class_head": "mlp"}


def test_a_run_with_a_preset_is_another_run(stream, tmp_path):
    plain, code = settings(stream, tmp_path), settings(stream, tmp_path, preset="crisp_code")
    assert plain.names.preset is None
    assert fingerprint(plain.model_dump()) != fingerprint(code.model_dump())
    assert settings(stream, tmp_path, preset="crisp_code", name="mine").names.run == "mine"
    namespace: dict = {}
    exec(dump(code), namespace)
    assert namespace["names"]["preset"] == "crisp_code"
