"""Classes as people name them on a command line."""

from __future__ import annotations

from collections.abc import Mapping

from cvis.errors import UserError


def category_ids(text: str, names: Mapping[int, str]) -> list[int]:
    """Category ids of a comma separated list of ids and names; a name that is a number is taken as an id.

    Args:
        names: id -> name of every category that may be named.

    Raises:
        UserError: none of these categories.

    >>> category_ids("cat, 4", {4: "dog", 7: "cat"})
    [7, 4]
    """
    by_name = {name: i for i, name in names.items()}
    by_id = {str(i): i for i in names}
    chosen = []
    for item in (part.strip() for part in text.split(",")):
        if item not in by_id and item not in by_name:
            known = ", ".join(f"{i} {name}" for i, name in names.items())
            raise UserError(f"--classes: {item!r}: not a category of the ground truth; choose of {known}")
        chosen.append(by_id.get(item, by_name.get(item, -1)))
    return chosen
