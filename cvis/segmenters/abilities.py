"""What segmenters can do beside the core, by the names that users read."""

from __future__ import annotations

import re

from cvis.segmenters.contract import AlignedQueries, ClassSlots, ClipTracks, QueryGroups, Segmenter, SharedFeatures

ABILITIES: tuple[type[Segmenter], ...] = (ClipTracks, SharedFeatures, ClassSlots, AlignedQueries, QueryGroups)


def ability_name(ability: type[Segmenter]) -> str:
    """As users read it.

    >>> ability_name(QueryGroups)
    'query_groups'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "_", ability.__name__).lower()


def abilities_of(segmenter: type[Segmenter]) -> list[str]:
    """The names of all that a segmenter can do beside the core."""
    return [ability_name(ability) for ability in ABILITIES if issubclass(segmenter, ability)]
