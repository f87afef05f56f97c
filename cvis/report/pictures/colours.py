"""One colour per identity: the same in every step, and told apart by the colour-blind too."""

from __future__ import annotations

import colorsys

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
DARK: Colour = (20, 20, 22)
LIGHT: Colour = (240, 240, 240)
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
_SHADES = (1.0, 1.35, 0.65)  # of the lightness, when the palette is used up


def colour_of(identity: int) -> Colour:
    """The colour of identity 0, 1, 2, ...; after three times the palette they come again.

    >>> colour_of(0), colour_of(7), colour_of(21) == colour_of(0)
    ((86, 180, 233), (185, 224, 246), True)
    """
    red, green, blue = PALETTE[identity % len(PALETTE)]
    shade = _SHADES[identity // len(PALETTE) % len(_SHADES)]
    if shade == 1:
        return red, green, blue
    hue, lightness, saturation = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    shaded = colorsys.hls_to_rgb(hue, min(lightness * shade, 0.9), saturation)
    red, green, blue = (round(255 * part) for part in shaded)
    return red, green, blue


def ink_on(colour: Colour) -> Colour:
    """Black or white, whichever is easier to read on a colour (by the contrast ratio of WCAG 2).

    >>> ink_on((240, 228, 66)), ink_on((0, 60, 120))
    ((0, 0, 0), (255, 255, 255))
    """
    return BLACK if _contrast(colour, BLACK) >= _contrast(colour, WHITE) else WHITE


def _contrast(one: Colour, other: Colour) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Colour) -> float:
    parts = [c / 255 for c in colour]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
