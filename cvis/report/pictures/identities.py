"""Which track is which, and its colour: ground truth gives the identities, predictions of every step take them over."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from cvis.evaluation.overlap import track_ious
from cvis.types import RLE, Tracks

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

# Okabe and Ito's palette without black; those that stand out best on photographs come first
PALETTE: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (213, 94, 0),
    (0, 114, 178),
)
_SHADES = (1.0, 1.35, 0.65)  # of the lightness, when the palette is used up
MIN_IOU = 0.5  # of a whole video; below it two tracks are two objects

_Masks = tuple[RLE | None, ...]


def identities(columns: Sequence[Tracks], truth: bool = True) -> list[list[int]]:
    """The identity 0, 1, ... of every track of every column; equal numbers are drawn in one colour.

    Tracks of the ground truth are identities of their own. A predicted track takes the identity that it overlaps
    most, if their video IoU is at least 0.5, and is a new one otherwise: so an object keeps its number from step to
    step, even one that only the models see, and several answers for one object share it.

    Args:
        columns: tracks of one and the same video.
        truth: the first column is ground truth.
    """
    known: list[_Masks] = list(columns[0].segmentations) if truth else []
    annotated = [list(range(len(known)))] if truth else []
    return annotated + [_join(tracks.segmentations, known) for tracks in columns[len(annotated) :]]


def _join(tracks: Sequence[_Masks], known: list[_Masks]) -> list[int]:
    """The identities of predicted tracks; new ones are added to ``known``."""
    ious = track_ious(tracks, [*known, *tracks], len(tracks[0]) if tracks else 0)
    places = list(range(len(known)))  # columns of the IoUs that are identities already
    numbers = []
    for n, (masks, overlaps) in enumerate(zip(tracks, ious, strict=True)):
        best = max(range(len(places)), key=lambda i: overlaps[places[i]], default=None)
        if best is None or overlaps[places[best]] < MIN_IOU:
            best = len(known)
            places.append(ious.shape[1] - len(tracks) + n)
            known.append(masks)
        numbers.append(best)
    return numbers


def colour_of(identity: int) -> Colour:
    """The colour of identity 0, 1, 2, ...; after three times the palette they come again.

    >>> colour_of(0), colour_of(7), colour_of(21) == colour_of(0)
    ((86, 180, 233), (185, 224, 246), True)
    """
    red, green, blue = PALETTE[identity % len(PALETTE)]
    shade = _SHADES[identity // len(PALETTE) % len(_SHADES)]
    hue, lightness, saturation = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    shaded = colorsys.hls_to_rgb(hue, min(lightness * shade, 0.9), saturation)
    red, green, blue = (round(255 * part) for part in shaded)
    return red, green, blue
