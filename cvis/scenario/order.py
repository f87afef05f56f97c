"""The learning order of a stream, and its division into steps."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

from cvis.data.dataset import plain_name
from cvis.data.videoset import VideoSet
from cvis.errors import UserError, did_you_mean
from cvis.types import Category

GENERATED = ("file", "alphabetical", "frequency", "random:SEED")


def learning_order(
    order: str | Sequence[str | int], videos: VideoSet, where: str, exclude: Sequence[str | int] = ()
) -> tuple[int, ...]:
    """Category ids in learning order.

    Args:
        order: names (or ids) of every class, or how to make an order of the classes that have an instance
            in ``videos``: ``file`` (order of the annotation file), ``alphabetical``, ``frequency`` (most
            videos first, ties in file order) or ``random:SEED`` (by the sha256 of seed and id: the same on
            every machine).
        videos: the whole annotated set, before any split.
        where: file that holds the field, for messages.
        exclude: classes left out of the stream; their instances are never labelled.

    Raises:
        UserError: an unknown, repeated or missing class, or an unknown kind of order.
    """
    out = set(_ids(exclude, videos.categories, f"{where}: exclude"))
    present = {track.category_id for track in videos.all_tracks}
    candidates = [c for c in videos.categories if c.id in present and c.id not in out]
    if isinstance(order, str):
        return _generate(order, candidates, videos, where)
    ids = _ids(order, videos.categories, f"{where}: order")
    missing = [c.name for c in candidates if c.id not in ids]
    if missing:
        raise UserError(
            f"{where}: order: class order has {len(ids)} classes, data set has {len(candidates)}; "
            f"missing: {missing}; add them, or name them in exclude"
        )
    both = [c.name for c in videos.categories if c.id in out and c.id in ids]
    if both:
        raise UserError(f"{where}: exclude: {both}: also in order; remove them from one of the two")
    return ids


def listed_steps(
    order: str | Sequence[str | int],
    base: int,
    increment: int | Sequence[int],
    categories: Collection[Category],
    where: str,
) -> tuple[tuple[int, ...], ...]:
    """C_1 .. C_T of a stream whose order is a list, as ids of any annotation file of its data set.

    Needs no videos, and the file may have more categories than the stream: for scoring results without the data.

    Raises:
        UserError: the order is one that is made from the training data, or a class is not in ``categories``.
    """
    if isinstance(order, str):
        raise UserError(
            f"{where}: order: {order!r}: is made from the training data, and not known without it; "
            "list the classes (cvis scenario make writes them out)"
        )
    return divide(_ids(order, categories, f"{where}: order"), base, increment, where)


def divide(
    classes: Sequence[int], base: int, increment: int | Sequence[int], where: str
) -> tuple[tuple[int, ...], ...]:
    """C_1 .. C_T: the first ``base`` classes, then ``increment`` at a time (or one number per step).

    Raises:
        UserError: the numbers do not add up to the number of classes.
    """
    total = len(classes)
    rest = total - base
    if rest < 0:
        raise UserError(f"{where}: base: {base}: the stream has only {total} classes; choose at most {total}")
    if isinstance(increment, int):
        if rest % increment:
            fitting = [i for i in range(1, rest + 1) if rest % i == 0]
            shorter = [increment] * (rest // increment) + [rest % increment]
            raise UserError(
                f"{where}: increment: {increment}: {rest} classes remain after base {base} of {total} and "
                f"cannot be divided by it; choose one of {fitting}, or list the steps: {shorter}"
            )
        increment = [increment] * (rest // increment)
    if sum(increment) != rest:
        raise UserError(
            f"{where}: increment: {list(increment)}: adds up to {sum(increment)}, but {rest} classes remain "
            f"after base {base} of {total}; make the list add up to {rest}"
        )
    steps, start = [], 0
    for size in (base, *increment):
        steps.append(tuple(classes[start : start + size]))
        start += size
    return tuple(steps)


def _generate(kind: str, candidates: Sequence[Category], videos: VideoSet, where: str) -> tuple[int, ...]:
    name, _, seed = kind.partition(":")
    if kind == "file":
        ordered = list(candidates)
    elif kind == "alphabetical":
        ordered = sorted(candidates, key=lambda c: (c.name.casefold(), c.id))
    elif kind == "frequency":
        count = dict.fromkeys((c.id for c in videos.categories), 0)
        for video in videos.videos:
            for category_id in videos.classes_of(video.id):
                count[category_id] += 1
        ordered = sorted(candidates, key=lambda c: -count[c.id])
    elif name == "random" and seed.isdecimal():
        ordered = sorted(candidates, key=lambda c: hashlib.sha256(f"{int(seed)}:{c.id}".encode()).hexdigest())
    else:
        raise UserError(
            f"{where}: order: {kind!r}: no such order; choose one of {', '.join(GENERATED)}, or list the names"
        )
    return tuple(c.id for c in ordered)


def _ids(classes: Sequence[str | int], categories: Collection[Category], field: str) -> tuple[int, ...]:
    by_name: dict[str, list[int]] = {}
    for category in categories:
        by_name.setdefault(plain_name(category.name), []).append(category.id)
    known = {category.id for category in categories}
    ids: list[int] = []
    for entry in classes:
        matches = by_name.get(plain_name(entry), []) if isinstance(entry, str) else [entry] if entry in known else []
        if not matches:
            hint = did_you_mean(entry, [c.name for c in categories])
            raise UserError(f"{field}: {entry!r}: not a class of the annotation file; {hint}")
        if len(matches) > 1:
            raise UserError(f"{field}: {entry!r}: the name of categories {matches}; give the id instead")
        if matches[0] in ids:
            raise UserError(f"{field}: {entry!r}: named twice; remove one")
        ids += matches
    return tuple(ids)
