"""How alike the semantic prompts of two class names are, by the words that the names share.

    python benchmarks/name_cosines.py

Names of the synthetic classes through the tiny random text tower, as CRISP's prompts at the start of a step, averaged
to the tiny model's 64 channels; the contexts are drawn anew each time. Mean cosine of all pairs, mean and deviation
over the draws.
"""

from __future__ import annotations

from itertools import combinations
from statistics import mean, stdev

import torch
from torch.nn.functional import normalize

from cvis.data.synthetic import NUM_CLASSES, category_name
from cvis.learners.crisp_parts.semantic import SemanticPrompts
from cvis.learners.crisp_parts.text import TextTower

DRAWS = 20


@torch.no_grad()
def main() -> None:
    names = [category_name(index) for index in range(NUM_CLASSES)]
    tower = TextTower(model="tiny", pretrained="random")
    drawn: dict[int, list[float]] = {}
    for seed in range(DRAWS):
        torch.manual_seed(seed)
        prompts = SemanticPrompts(tower, dim=64)
        prompts.add_task(names)
        units = normalize(prompts(), dim=1)
        cosines: dict[int, list[float]] = {}
        for one, two in combinations(range(NUM_CLASSES), 2):
            shared = len(set(names[one].split("_")) & set(names[two].split("_")))
            cosines.setdefault(shared, []).append(float(units[one] @ units[two]))
        for shared, values in cosines.items():
            drawn.setdefault(shared, []).append(mean(values))
    for shared, means in sorted(drawn.items()):
        print(f"{shared} shared words: {mean(means):.2f} ± {stdev(means):.2f}")


if __name__ == "__main__":
    main()
