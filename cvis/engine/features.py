"""The cache of what frozen models say of frames, as a run is asked to keep it."""

from __future__ import annotations

import json
import logging

import torch

from cvis.engine.config import Config
from cvis.files import cache_dir
from cvis.segmenters.contract import Segmenter, SharedFeatures
from cvis.segmenters.feature_cache import GB, FeatureCache

OF_HEADS = ("criterion", "decoder", "num_queries", "test", "weights")
"""Settings of a segmenter that change nothing before its heads."""
logger = logging.getLogger("cvis")


def cache_features(segmenter: Segmenter, config: Config) -> FeatureCache | None:
    """Give the segmenter a cache, if the run is to have one; it lies dormant until a learner freezes all features."""
    runtime = config.runtime
    if runtime.cache_features == "off" or not isinstance(segmenter, SharedFeatures):
        return None
    settings = {key: value for key, value in config.segmenter.items() if key not in OF_HEADS}
    about = json.dumps([torch.__version__, settings], sort_keys=True, default=str)
    folder = cache_dir() / "features" if runtime.cache_features == "disk" else None
    segmenter.feature_cache = FeatureCache(round(runtime.cache_gb * GB), about, folder)
    return segmenter.feature_cache


def tell_cache(cache: FeatureCache | None) -> None:
    """What it was good for."""
    if cache is None:
        return
    if cache.hits + cache.misses:
        logger.info("feature cache: %d clips found, %d made", cache.hits, cache.misses)
    else:
        why = "the learner goes on training what makes the features, or the model names no feature_parts"
        logger.info("feature cache: not used: %s", why)
