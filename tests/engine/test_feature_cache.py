"""Features of a frozen model, kept by what frames show: as if made anew, within a limit, on disk for later runs."""

import logging

import pytest
import torch
from compared_runs import metrics, weights
from tiny import SMALL_MODEL, settings

from cvis.engine.config import fingerprint
from cvis.engine.run import run
from cvis.errors import UserError
from cvis.segmenters import build_segmenter
from cvis.segmenters.feature_cache import FeatureCache

FRAMES = torch.randint(0, 256, (3, 2, 3, 32, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
TINY_TEXT = ("learner.text_encoder.model=tiny", "learner.text_encoder.pretrained=random")
SIZES = torch.tensor([[32, 48], [30, 40], [32, 48]])


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = build_segmenter(SMALL_MODEL).eval()
    made.features_frozen = True
    return made


def tensors(memory):
    return [*memory.levels, memory.mask_features]


@torch.no_grad()
def asked(model, cache, frames=FRAMES, sizes=SIZES):
    model.feature_cache = cache
    return model.features(frames, sizes)


def assert_near(one, other):
    assert one.size == other.size
    for mine, theirs in zip(tensors(one), tensors(other), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("on_disk", [False, True])
def test_what_is_found_is_what_was_made_and_what_is_made_without_a_cache(model, tmp_path, on_disk):
    plain = asked(model, None)
    cache = FeatureCache(10**9, "", tmp_path if on_disk else None)
    first, again = asked(model, cache), asked(model, cache, FRAMES.flip(0), SIZES.flip(0))
    assert (cache.hits, cache.misses) == (3, 3)
    assert_near(plain, first)
    assert all(torch.equal(one.flip(0), other) for one, other in zip(tensors(first), tensors(again), strict=True))


def test_other_pixels_sizes_precision_weights_and_settings_have_other_addresses(model, tmp_path):
    cache = FeatureCache(10**9, "", tmp_path)
    asked(model, cache, FRAMES[:1], SIZES[:1])
    changed = FRAMES[:1].clone()
    changed[0, 1, 2, 31, 47] += 1
    asked(model, cache, changed, SIZES[:1])
    asked(model, cache, FRAMES[:1], SIZES[1:2])
    asked(model, cache, FRAMES[:1], None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        asked(model, cache, FRAMES[:1], SIZES[:1])
    assert (cache.hits, cache.misses) == (0, 5)
    later = FeatureCache(10**9, "", tmp_path)  # another run
    asked(model, later, FRAMES[:1], SIZES[:1])
    assert (later.hits, later.misses) == (1, 0)
    asked(model, other_settings := FeatureCache(10**9, "dim=8", tmp_path), FRAMES[:1], SIZES[:1])
    model.pixel_decoder.state_dict()[next(iter(model.pixel_decoder.state_dict()))].add_(1)
    asked(model, other_weights := FeatureCache(10**9, "", tmp_path), FRAMES[:1], SIZES[:1])
    assert (other_settings.misses, other_weights.misses) == (1, 1)
    model.add_query_group(2, 1, fine_masks=True)
    assert asked(model, other_weights, FRAMES[:1], SIZES[:1]).mask_features.shape[2] > model.class_heads.dim


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_full_cache_keeps_what_it_has_and_the_rest_is_made_anew(model, tmp_path, on_disk, caplog):
    plain = asked(model, None)
    one_clip = sum(tensor.nbytes for tensor in tensors(plain)) // 3
    cache = FeatureCache(round(one_clip * 1.2), "", tmp_path if on_disk else None)
    with caplog.at_level(logging.INFO, "cvis"):
        for _ in range(2):
            assert_near(plain, asked(model, cache))
    assert (cache.hits, cache.misses) == (1, 5)
    assert [record.getMessage().partition(" at ")[0] for record in caplog.records] == ["feature cache: full"]
    if on_disk:
        asked(model, after := FeatureCache(round(one_clip * 1.2), "", tmp_path), FRAMES[:2], SIZES[:2])
        assert (after.hits, after.misses, len(list(tmp_path.rglob("*.pt")))) == (1, 1, 1)  # counted from the start


def test_in_ram_a_step_makes_room_among_what_only_earlier_steps_asked_for(model):
    room = sum(tensor.nbytes for tensor in tensors(asked(model, None)))  # for three clips
    cache = FeatureCache(room, "")
    asked(model, cache)
    cache.begin_step()
    asked(model, cache, FRAMES[1:2], SIZES[1:2])  # this one stays
    asked(model, cache, FRAMES[:2].flip(1), SIZES[:2])  # two new ones in place of the others
    asked(model, cache, FRAMES[:1].flip(-1), SIZES[:1])  # finds no room
    assert (cache.hits, cache.misses) == (1, 6)
    asked(model, cache, FRAMES[1:2], SIZES[1:2])
    asked(model, cache, FRAMES[:2].flip(1), SIZES[:2])
    assert (cache.hits, cache.misses) == (4, 6)
    asked(model, cache, FRAMES[:1].flip(-1), SIZES[:1])
    asked(model, cache, FRAMES[:1], SIZES[:1])
    assert (cache.hits, cache.misses) == (4, 8)


def test_a_damaged_file_is_named(model, tmp_path):
    asked(model, FeatureCache(10**9, "", tmp_path), FRAMES[:1], SIZES[:1])
    (file,) = tmp_path.rglob("*.pt")
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match=rf"{file.name}: is damaged; delete it"):
        asked(model, FeatureCache(10**9, "", tmp_path), FRAMES[:1], SIZES[:1])


def test_features_that_were_made_in_a_test_can_be_trained_on(model):
    cache = FeatureCache(10**9, "", None)
    with torch.inference_mode():
        model.feature_cache = cache
        model.features(FRAMES, SIZES)
    memory = asked(model, cache)
    model.requires_grad_(False)
    model.groups[0].requires_grad_(True)
    model.decode_queries(memory)[-1].mask_embeddings.sum().backward()
    assert cache.hits == 3


def test_a_model_that_is_not_frozen_is_never_looked_up(model):
    model.features_frozen = False
    asked(model, cache := FeatureCache(10**9, "", None))
    assert (cache.hits, cache.misses) == (0, 0)


OTHERS = {"eclipse": ("crisp", *TINY_TEXT), "anchor": ("anchor", "learner.foreign=0")}


@pytest.mark.parametrize("learner", OTHERS)
def test_runs_with_a_cache_are_runs_without(stream, tmp_path, monkeypatch, learner, caplog):
    """With fixed views, so that training finds what it asked for before; on disk another run finds all."""
    monkeypatch.setenv("CVIS_CACHE", str(tmp_path / "cache"))
    own = ("learner.num_prompts=3", "schedule.incremental.views=1", "schedule.incremental.iterations=8")
    folders = {}
    with caplog.at_level(logging.INFO, "cvis"):
        for how in ("off", "ram", "disk"):
            config = settings(stream, tmp_path / how, learner, *own, f"runtime.cache_features={how}")
            folders[how] = run(config)
        run(settings(stream, tmp_path / "later", *OTHERS[learner], *own, "runtime.cache_features=disk"))
    ram, disk, later = (text for text in map(logging.LogRecord.getMessage, caplog.records) if "clips found" in text)
    assert ram == disk
    assert later.endswith(" clips found, 0 made")
    for how in ("ram", "disk"):
        assert_near_run(folders["off"], folders[how])


def assert_near_run(one, other):
    mine, theirs = weights(one), weights(other)
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=1e-4, msg=name)
    assert metrics(one)["final"]["mAP"] == pytest.approx(metrics(other)["final"]["mAP"], abs=1.0)


def test_a_learner_that_trains_everything_says_that_nothing_was_kept(stream, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "cvis"):
        run(settings(stream, tmp_path, "finetune", "runtime.cache_features=ram"))
    assert any("feature cache: not used: the learner" in record.getMessage() for record in caplog.records)


def test_a_resumed_run_must_keep_features_too_wherever_they_lie(stream, tmp_path):
    off, ram, disk = (
        fingerprint(settings(stream, tmp_path, "eclipse", f"runtime.cache_features={how}").model_dump(mode="json"))
        for how in ("off", "ram", "disk")
    )
    assert off != ram
    assert ram == disk
    older = settings(stream, tmp_path, "eclipse").model_dump(mode="json")
    del older["runtime"]["cache_features"], older["runtime"]["cache_gb"], older["schedule"]["incremental"]["views"]
    assert fingerprint(older) == off  # as written before there was a cache
