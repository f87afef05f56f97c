"""The distillation methods' formulas as plain Python loops, written from the papers and not from our code."""

import math


def probabilities(logits: list[float]) -> list[float]:
    top = max(logits)
    terms = [math.exp(z - top) for z in logits]
    return [term / sum(terms) for term in terms]


def unbiased(logits: list[float], num_old: int) -> list[float]:
    """MiB, equation 5: probabilities where no-object has swallowed the old classes (which keep their own, too)."""
    p = probabilities(logits)
    return [*p[:-1], p[-1] + sum(p[:num_old])]


def weighted_nll(rows: list[list[float]], columns: list[int], no_object_weight: float) -> float:
    """Of probabilities: sum w_c (-log p_c) / sum w_c."""
    top = bottom = 0.0
    for p, column in zip(rows, columns, strict=True):
        weight = no_object_weight if column == len(p) - 1 else 1.0
        top -= weight * math.log(p[column])
        bottom += weight
    return top / bottom


def focal(rows: list[list[float]], columns: list[int], alpha: float = 5.0, gamma: float = 1.0) -> float:
    values = [alpha * (1 - p[c]) ** gamma * -math.log(p[c]) for p, c in zip(rows, columns, strict=True)]
    return sum(values) / len(values)


def divergence(q: list[float], p: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(q, p, strict=True) if a > 0)


def unbiased_divergence(logits: list[float], old_logits: list[float]) -> float:
    """MiB, equation 8: the new model's no-object is its no-object and all new classes together."""
    num_old = len(old_logits) - 1
    p = probabilities(logits)
    return divergence(probabilities(old_logits), [*p[:num_old], sum(p[num_old:])])


def restricted_divergence(logits: list[float], old_logits: list[float]) -> float:
    """Distillation before MiB: new classes are left out of the new model's softmax."""
    num_old = len(old_logits) - 1
    return divergence(probabilities(old_logits), probabilities([*logits[:num_old], logits[-1]]))


def adaptive(values: list[float], old_logits: list[list[float]]) -> float:
    weights = [(1 - probabilities(row)[-1]) ** 2 for row in old_logits]
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


def half_half(rows, columns, old_rows, class_weight, kd_weight) -> float:
    """CoMBO, equations 4 to 7. Matched: cross entropy. Others: KL to the old model, which has 0 for new classes."""
    learned, kept = [], []
    for logits, column, old_logits in zip(rows, columns, old_rows, strict=True):
        p, q = probabilities(logits), probabilities(old_logits)
        if column < len(p) - 1:
            learned.append(-math.log(p[column]))
        else:
            wanted = [*q[:-1], *[0.0] * (len(p) - len(q)), q[-1]]
            kept.append(divergence(wanted, p))
    return sum(
        weight * sum(values) / len(values) for weight, values in ((class_weight, learned), (kd_weight, kept)) if values
    )


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def bce(x: float, t: float) -> float:
    """Binary cross entropy of a logit and a soft target."""
    return -t * math.log(sigmoid(x)) - (1 - t) * math.log(sigmoid(-x))


def pseudo_tracks(scores, columns, masks, annotated, no_object, min_score, min_overlap, area):
    """CoMFormer's rule, pixel by pixel: {query: set of (t, y, x)}.

    Args:
        scores, columns: best probability of each query, and which column it stands in.
        masks: nested lists [Q][T][H][W] of probabilities.
        annotated: nested lists [T][H][W] of bool.
    """
    proposing = [k for k, c in enumerate(columns) if c != no_object and scores[k] > min_score]
    assigned = {k: set() for k in proposing}
    whole = {k: set() for k in proposing}
    for t, frame in enumerate(annotated):
        for y, row in enumerate(frame):
            for x, taken in enumerate(row):
                for k in proposing:
                    if masks[k][t][y][x] >= 0.5:
                        whole[k].add((t, y, x))
                if proposing and not taken:
                    owner = max(proposing, key=lambda k: scores[k] * masks[k][t][y][x])
                    assigned[owner].add((t, y, x))
    found = {}
    for k in proposing:
        track = assigned[k] & whole[k]
        compared = assigned[k] if area == "assigned" else track
        if track and len(compared) / len(whole[k]) > min_overlap:
            found[k] = track
    return found


def focal_of_sigmoid(z: float, own: bool) -> float:
    p = sigmoid(z)
    return 0.25 * (1 - p) ** 2 * -math.log(p) if own else 0.75 * p**2 * -math.log(1 - p)


def sigmoid_divergence(logits: list[float], old_logits: list[float]) -> float:
    """Of the old classes: the BCE to the old model's probability, less what it costs the old model itself."""
    pairs = zip(logits, old_logits, strict=False)
    return sum(bce(z, sigmoid(old)) - bce(old, sigmoid(old)) for z, old in pairs)
