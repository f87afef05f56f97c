"""JSON, for scripts: numbers unrounded, null where there is none."""

from __future__ import annotations

import json

from cvis.report.value import Document

SUFFIX = ".json"


def render(document: Document) -> str:
    return json.dumps(document.content(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
