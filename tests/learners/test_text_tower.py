"""The text tower against open_clip's own CLIP, its weight files, and what it must leave alone."""

import copy
import inspect

import pytest
import torch
from open_clip.model import CLIP
from open_clip.tokenizer import tokenize
from safetensors.torch import save_file
from torch import nn

from cvis.errors import UserError
from cvis.learners.crisp_parts.text import TINY, TextTower

SENTENCES = ["a photo of a giant_panda.", "x", "earless_seal, two of them, beside a very small boat"]


@pytest.fixture(scope="module")
def clip():
    """A whole CLIP with random weights, image side and all."""
    torch.manual_seed(7)
    vision = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 32}
    return CLIP(TINY["embed_dim"], vision_cfg=vision, text_cfg=TINY["text_cfg"]).eval()


@pytest.fixture(scope="module")
def tower(clip, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.pt"
    torch.save(clip.state_dict(), path)
    return TextTower("tiny", str(path))


def features(tower, texts):
    tokens, ends = tower.tokenize(texts)
    return tower(tower.embed(torch.tensor(tokens)), ends)


def test_features_are_those_of_open_clip(clip, tower):
    with torch.no_grad():
        theirs = clip.encode_text(tokenize(SENTENCES))
    torch.testing.assert_close(features(tower, SENTENCES), theirs, atol=1e-5, rtol=0)


def test_what_lies_behind_the_last_end_of_text_changes_nothing(tower):
    tokens, ends = tower.tokenize(SENTENCES)
    assert len(tokens[0]) == max(ends) + 1 < 20
    full = torch.randn(3, 77, tower.width)  # noise behind the texts
    full[:, : max(ends) + 1] = tower.embed(torch.tensor(tokens))
    net = tower.net
    states = net.ln_final(net.transformer(full + net.positional_embedding, attn_mask=net.attn_mask))
    slow = torch.stack([states[i, end] @ net.text_projection for i, end in enumerate(ends)])
    torch.testing.assert_close(tower(full, ends), slow, atol=1e-5, rtol=0)
    for i, text in enumerate(SENTENCES):  # nor does a longer neighbour
        torch.testing.assert_close(features(tower, [text])[0], slow[i], atol=1e-5, rtol=0)


def test_random_weights_are_the_same_everywhere_and_touch_no_generator():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = TextTower("tiny", "random")
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    second = TextTower("tiny", "random")
    mine, theirs = dict(first.named_buffers()), dict(second.named_buffers())
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert first.describe() == {"model": "tiny", "pretrained": "random", "sha256": None}
    assert features(first, SENTENCES).std(dim=0).min() > 1e-3  # other words, other features


def test_the_tower_is_in_no_state_and_no_optimiser_but_moves_with_its_owner(tower):
    owner = nn.ModuleDict({"tower": copy.deepcopy(tower), "head": nn.Linear(2, 2)})
    assert list(owner.state_dict()) == ["head.weight", "head.bias"]
    assert [name for name, _ in owner.named_parameters()] == ["head.weight", "head.bias"]
    owner.double()
    assert {buffer.dtype for buffer in owner["tower"].buffers()} == {torch.float64}
    assert features(owner["tower"], SENTENCES).dtype == torch.float64


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_flow_through_to_the_embeddings_of_text_that_counts(tower, training, dtype):
    tower.train(training)
    tokens, ends = tower.tokenize(["cat", "a big cat"])
    embeddings = tower.embed(torch.tensor(tokens)).requires_grad_()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        result = tower(embeddings, ends)
    result.float().square().sum().backward()
    moved = embeddings.grad.abs().sum(dim=2) > 0
    assert torch.isfinite(embeddings.grad).all()
    assert moved.tolist() == [[i <= end for i in range(len(tokens[0]))] for end in ends]
    torch.testing.assert_close(result.float(), features(tower, ["cat", "a big cat"]), atol=0.1, rtol=0.05)


def test_the_activation_is_the_models():
    names = {
        m: {type(x).__name__ for x in TextTower(m, "random").modules()} for m in ("ViT-S-32", "ViT-B-32-quickgelu")
    }
    assert "GELU" in names["ViT-S-32"]
    assert "QuickGELU" in names["ViT-B-32-quickgelu"]
    assert "GELU" not in names["ViT-B-32-quickgelu"]
    default = inspect.signature(TextTower).parameters
    assert (default["model"].default, default["pretrained"].default) == ("ViT-B-32-quickgelu", "openai")


def _text_only(state):
    return {key: value for key, value in state.items() if not key.startswith(("visual.", "logit_scale"))}


FORMS = {
    "openai tensors": lambda s: {**s, "input_resolution": torch.tensor(32), "context_length": torch.tensor(77)},
    "training checkpoint": lambda s: {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in s.items()}},
    "custom text": lambda s: {k if k.startswith("visual.") else f"text.{k}": v for k, v in s.items()},
    "text side only": _text_only,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_checkpoint_gives_the_same_tower(form, clip, tower, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(FORMS[form](dict(clip.state_dict())), path)
    loaded = TextTower("tiny", str(path))
    assert torch.equal(features(loaded, SENTENCES), features(tower, SENTENCES))
    assert loaded.describe()["pretrained"] == str(path)
    assert len(loaded.describe()["sha256"]) == 64


def test_safetensors_and_half_precision(clip, tower, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({key: value.half().contiguous() for key, value in clip.state_dict().items()}, path)
    loaded = TextTower("tiny", str(path))
    assert {buffer.dtype for buffer in loaded.buffers()} == {torch.float32}
    torch.testing.assert_close(features(loaded, SENTENCES), features(tower, SENTENCES), atol=0.02, rtol=0)


def refusal(*arguments):
    with pytest.raises(UserError) as caught:
        TextTower(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_weights_that_do_not_fit_are_named_with_file_and_key(clip, tmp_path):
    path = tmp_path / "weights.pt"
    state = dict(clip.state_dict())
    torch.save({k: v for k, v in state.items() if k != "ln_final.bias"}, path)
    assert refusal("tiny", str(path)).startswith(f"{path}: ln_final.bias: is missing")
    torch.save({**state, "text_projection": torch.zeros(128, 64)}, path)
    assert "text_projection: has shape [128, 64], not [128, 128]" in refusal("tiny", str(path))
    torch.save({**state, "transformer.resblocks.2.ln_1.bias": torch.zeros(128)}, path)
    assert "transformer.resblocks.2.ln_1.bias: the text tower has no such tensor" in refusal("tiny", str(path))
    torch.save([1, 2], path)
    assert refusal("tiny", str(path)).startswith(f"{path}: positional_embedding: is missing")


def test_files_that_are_programs_or_no_weights_are_refused(tmp_path):
    program = tmp_path / "ViT-B-32.pt"
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), program)
    text = refusal("tiny", str(program))
    assert text.startswith(f"{program}: is a TorchScript archive")
    assert "torch.jit.load" in text
    torch.save(nn.Linear(2, 2), program)
    assert refusal("tiny", str(program)).startswith(f"{program}: not a file of tensors only")
    for name in ("empty.pt", "empty.safetensors"):
        (tmp_path / name).touch()
        assert refusal("tiny", str(tmp_path / name)).startswith(str(tmp_path / name))


def test_models_and_tags_that_do_not_exist():
    assert "did you mean ViT-B-32" in refusal("ViT-B32", "random")
    assert "not CLIP's causal transformer" in refusal("ViT-B-16-SigLIP", "random")
    assert "not CLIP's causal transformer" in refusal("coca_ViT-B-32", "random")
    assert "neither a file nor a tag of tiny" in refusal("tiny", "openai")
    assert "learner.text_encoder.model=ViT-B-32-quickgelu" in refusal("ViT-B-32", "openai")
    assert "learner.text_encoder.pretrained: None" in refusal("tiny", None)


@pytest.fixture
def no_cache(monkeypatch):
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, name: None)


@pytest.mark.parametrize("setting", [("HF_HUB_OFFLINE", True), ("ENDPOINT", "http://127.0.0.1:9")])
def test_no_network_and_no_weights_is_one_line_with_the_remedy(monkeypatch, no_cache, setting):
    asked = []
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("open_clip.pretrained.download_pretrained", asked.append)
    monkeypatch.setattr(f"huggingface_hub.constants.{setting[0]}", setting[1])
    text = refusal()
    for part in ("ViT-B-32-quickgelu", "openai", "learner.text_encoder.pretrained=PATH", "pretrained=random"):
        assert part in text
    assert asked == []  # the hub's client, which tries for a minute, was not called


@pytest.mark.parametrize("error", [FileNotFoundError("Failed to download\nfile"), RuntimeError("no hub")])
def test_a_download_that_fails_is_one_line_too(monkeypatch, no_cache, error):
    def download(tag):
        raise error

    monkeypatch.setattr("cvis.learners.crisp_parts.clip_weights._reach_hub", lambda: None)
    monkeypatch.setattr("open_clip.pretrained.download_pretrained", download)
    assert str(error).split("\n")[0] in refusal()


def test_a_tag_is_fetched_only_when_it_is_asked_for_aloud_and_not_twice(
    monkeypatch, caplog, no_cache, clip, tower, tmp_path
):
    caplog.set_level("INFO", "cvis")
    path, asked = tmp_path / "fetched.pt", []
    torch.save(clip.state_dict(), path)
    tags = {"mine": {"hf_hub": "me/mine/"}}
    monkeypatch.setattr("open_clip.pretrained.get_pretrained_cfg", lambda model, tag: tags.get(tag, {}))
    monkeypatch.setattr("open_clip.pretrained.download_pretrained", lambda tag: asked.append(tag) or str(path))
    monkeypatch.setattr("cvis.learners.crisp_parts.clip_weights._reach_hub", lambda: None)
    TextTower("tiny", "random")
    TextTower("tiny", str(path))
    assert asked == []
    fetched = TextTower("tiny", "mine")
    assert asked == [tags["mine"]]
    assert "fetching the weights mine of tiny from me/mine/" in caplog.text
    assert torch.equal(features(fetched, SENTENCES), features(tower, SENTENCES))
    cache = {("me/mine", "open_clip_model.safetensors"): None, ("me/mine", "open_clip_pytorch_model.bin"): str(path)}
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *name: cache[name])
    assert TextTower("tiny", "mine").sha256 == fetched.sha256
    assert len(asked) == 1
