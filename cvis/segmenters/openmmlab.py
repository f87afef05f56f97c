"""The one door to mmdet and mmcv: every block of theirs that cvis uses is imported here and nowhere else.

mmcv's compiled operators take a compiler and a quarter of an hour, and cvis needs none of them; but
``import mmdet.models`` asks for the module that holds them. Where that module is missing, a stand-in takes
its place before mmdet is imported: it has every operator by name, and calling one raises.
"""

from __future__ import annotations

import importlib
import logging
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from importlib.util import find_spec

EXTENSION = "mmcv._ext"


class MissingOperator(RuntimeError):
    """An operator of mmcv's compiled extension was called, and the extension is not installed."""


class _StandIn(types.ModuleType):
    """Looks like ``mmcv._ext``; each of its operators raises :class:`MissingOperator` when called."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)

        def operator(*args, **kwargs):
            raise MissingOperator(
                f"{EXTENSION}.{name}: this compiled operator of mmcv is not installed; install torch first, then "
                "`MMCV_WITH_OPS=1 pip install --no-build-isolation --no-binary onedl-mmcv onedl-mmcv` "
                "(a C++ compiler is needed, and CUDA's for a GPU)"
            )

        return operator


def has_real_ops() -> bool:
    """Whether mmcv's compiled operators are installed. Cheap: imports neither torch nor mmcv."""
    if EXTENSION in sys.modules:
        return not isinstance(sys.modules[EXTENSION], _StandIn)
    mmcv = find_spec("mmcv")
    folders = list(mmcv.submodule_search_locations or []) if mmcv else []
    return PathFinder.find_spec(EXTENSION, folders) is not None


def install_stand_in() -> bool:
    """Put the stand-in in place if, and only if, the real ``mmcv._ext`` cannot be imported.

    Returns:
        True if the stand-in is now in use.
    """
    if EXTENSION not in sys.modules:
        try:
            importlib.import_module(EXTENSION)
        except ImportError:  # missing, or built for another torch: cvis needs none of it
            sys.modules[EXTENSION] = vars(sys.modules["mmcv"])["_ext"] = _StandIn(EXTENSION)
    return not has_real_ops()


@contextmanager
def quiet() -> Iterator[None]:
    """Without mmengine's log lines (one per initialised parameter) and the warnings of optional packages."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


with quiet():
    install_stand_in()
    importlib.import_module("mmdet.models")

from mmcv.cnn import ConvModule  # noqa: E402
from mmcv.ops import DeformConv2d, MultiScaleDeformableAttention  # noqa: E402
from mmdet.models.layers import (  # noqa: E402
    MSDeformAttnPixelDecoder,
    SinePositionalEncoding,
    SinePositionalEncoding3D,
)
from mmdet.models.layers.transformer.mask2former_layers import (  # noqa: E402
    Mask2FormerTransformerDecoder,
    Mask2FormerTransformerDecoderLayer,
)
from mmdet.registry import MODELS as MMDET_MODELS  # noqa: E402
from mmengine.config import ConfigDict  # noqa: E402
from mmengine.registry import WEIGHT_INITIALIZERS  # noqa: E402

__all__ = [
    "MMDET_MODELS",
    "WEIGHT_INITIALIZERS",
    "ConfigDict",
    "ConvModule",
    "DeformConv2d",
    "MSDeformAttnPixelDecoder",
    "Mask2FormerTransformerDecoder",
    "Mask2FormerTransformerDecoderLayer",
    "MissingOperator",
    "MultiScaleDeformableAttention",
    "SinePositionalEncoding",
    "SinePositionalEncoding3D",
    "has_real_ops",
    "install_stand_in",
    "quiet",
]
