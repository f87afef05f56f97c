"""VisTR's matching and losses: brute force, DETR on one frame, and the formulas written as plain float64 loops."""

import itertools
import math

import pytest
import torch
from small_vistr import make_vistr
from test_vistr_geometry import plain_box, plain_giou

from cvis.segmenters.mask2former.criterion import softmax_cross_entropy
from cvis.segmenters.vistr.criterion import Criterion, Pairs, sequence_cost
from cvis.segmenters.vistr.outputs import BoxedOutput, BoxedQueries, ClipMemory
from cvis.types import NO_OBJECT, Clip, Targets

SLOTS, CLASSES, SIZE = 4, 3, (8, 12)


def random_outputs(frames, layers=2, batch=2, slots=SLOTS, extent=((1.0, 1.0), (0.5, 0.75))):
    """Whose masks are inner products with random maps: as good as any for what is tested here."""
    queries, maps = frames * slots, torch.randn(frames, 5, *SIZE, dtype=torch.float64)
    nothing = torch.zeros(batch, frames, 5, 1, 1, dtype=torch.float64)
    share = torch.tensor(extent[:batch], dtype=torch.float64)
    memory = ClipMemory((nothing,), nothing, SIZE, nothing, nothing.bool(), share, frames)

    def head(_, embeddings, clip):
        return torch.einsum("mtd,tdhw->mthw", embeddings, maps)

    def random(*shape):
        return torch.randn(batch, queries, *shape, dtype=torch.float64)

    return [
        BoxedOutput(
            BoxedQueries(random(CLASSES + 1), random(5), random(5), random(5), random(4).sigmoid()), memory, head
        )
        for _ in range(layers)
    ]


def random_targets(frames, counts=(2, 3)):
    """Tracks of a few pixels, each absent in some frames; one is seen nowhere."""
    columns, masks = [], []
    for count in counts:
        mask = torch.rand(count, frames, *SIZE) > 0.9
        for index in range(count):
            if frames > 1:
                mask[index, index % frames] = False
        columns.append(torch.randint(0, CLASSES, (count,)))
        masks.append(mask)
    return columns, masks


def plain_cost(logits, boxes, column, masks, extent):
    """Of one slot and one target: means over the frames that show it."""
    p = logits.softmax(-1)
    terms = []
    for t, mask in enumerate(masks):
        if mask.any():
            box = [side / extent[k % 2] for k, side in enumerate(plain_box(mask))]
            l1 = sum(abs(a - b) for a, b in zip(boxes[t].tolist(), box, strict=True))
            terms.append(-p[t, column].item() + 5 * l1 - 2 * plain_giou(boxes[t].tolist(), box))
    return sum(terms) / len(terms)


def best(costs):
    """The cheapest assignment of every target to a slot of its own: slot of each target."""
    targets = range(len(costs[0]))
    choices = itertools.permutations(range(len(costs)), len(costs[0]))
    return min(choices, key=lambda slots: sum(costs[slots[g]][g] for g in targets))


def test_matching_is_the_cheapest_by_brute_force():
    frames = 3
    outputs, (columns, masks) = random_outputs(frames), random_targets(frames)
    criterion = Criterion()
    targets = criterion.sequences(outputs[0], columns, masks)
    matching = criterion.match(outputs, targets)
    for layer, output in enumerate(outputs):
        found = criterion.costs(output, targets)
        for clip in range(2):
            logits = output.logits[clip].view(frames, SLOTS, -1)
            boxes = output.boxes[clip].view(frames, SLOTS, 4)
            extent = output.extent[clip].tolist()
            costs = [
                [plain_cost(logits[:, i], boxes[:, i], columns[clip][g], masks[clip][g], extent) for g in range(n)]
                for i in range(SLOTS)
                for n in (len(columns[clip]),)
            ]
            torch.testing.assert_close(found[clip], torch.tensor(costs), rtol=1e-4, atol=1e-4)
            assert matching.query[layer][matching.clip == clip].tolist() == list(best(costs))


def test_with_one_frame_the_matching_is_detrs():
    """DETR's, written down for images: a box each, and class probability, L1 and GIoU at 1, 5 and 2."""
    outputs, (columns, masks) = random_outputs(1, extent=((1.0, 1.0),) * 2), random_targets(1)
    criterion = Criterion()
    matching = criterion.match(outputs, criterion.sequences(outputs[0], columns, masks))
    for layer, output in enumerate(outputs):
        for image in range(2):
            probabilities = output.logits[image].softmax(-1).tolist()
            costs = []
            for query, box in enumerate(output.boxes[image].tolist()):
                costs.append([])
                for column, mask in zip(columns[image].tolist(), masks[image][:, 0], strict=True):
                    wanted = plain_box(mask)
                    l1 = sum(abs(a - b) for a, b in zip(box, wanted, strict=True))
                    costs[-1].append(5 * l1 - probabilities[query][column] - 2 * plain_giou(box, wanted))
            assert matching.query[layer][matching.clip == image].tolist() == list(best(costs))


def test_a_target_that_no_frame_shows_costs_nothing():
    cost = sequence_cost(torch.randn(2, 3, 4), torch.rand(2, 3, 4), torch.tensor([1]), torch.zeros(1, 2, 4),
                         torch.zeros(1, 2, dtype=torch.bool))  # fmt: skip
    assert torch.equal(cost, torch.zeros(3, 1))


def plain_focal(x, t):
    p = 1 / (1 + math.exp(-x))
    return -0.25 * (1 - p) ** 2 * math.log(p) if t else -0.75 * p**2 * math.log(1 - p)


def plain_dice(probabilities, truth):
    shared = sum(p * t for p, t in zip(probabilities, truth, strict=True))
    return 1 - (2 * shared + 1) / (sum(probabilities) + sum(truth) + 1)


@pytest.mark.parametrize(
    ("counts", "deep", "soft"), [((2, 3), False, False), ((5, 1), True, False), ((2, 3), False, True)]
)
def test_losses_are_the_formulas(counts, deep, soft):
    """Pairs are expanded to the frames of the target that a slot got, whatever the order: the published code takes
    those of another where the matching permutes. With (5, 1) the first clip has more tracks than slots."""
    frames = 3
    outputs, (columns, masks) = random_outputs(frames), random_targets(frames, counts)
    criterion = Criterion(class_weight=3.0, mask_weight=1.5, dice_weight=0.5, deep_masks=deep)
    losses = criterion(outputs, columns, masks, softmax_cross_entropy, soft_masks=soft)
    targets = criterion.sequences(outputs[0], columns, masks)
    matching = criterion.match(outputs, targets)
    number = sum(bool(mask.any()) for clip in masks for track in clip for mask in track)
    for layer, output in enumerate(outputs):
        wanted, sums = {}, dict(bbox=0.0, giou=0.0, mask=0.0, dice=0.0)
        track = 0
        for clip, g in [(c, g) for c in range(2) for g in range(counts[c])]:
            slot = int(matching.query[layer, track])
            track += 1
            for t, mask in enumerate(masks[clip][g]):
                if slot < 0 or not mask.any():
                    continue
                query = t * SLOTS + slot
                wanted[clip, query] = int(columns[clip][g])
                box = [side / output.extent[clip, k % 2].item() for k, side in enumerate(plain_box(mask))]
                mine = output.boxes[clip, query].tolist()
                sums["bbox"] += 5 * sum(abs(a - b) for a, b in zip(mine, box, strict=True))
                sums["giou"] += 2 * (1 - plain_giou(mine, box))
                truth = mask.flatten().double().tolist()
                if soft:
                    share = output.masks[clip, t * SLOTS : (t + 1) * SLOTS, 0].softmax(0)[slot].flatten().tolist()
                    focal = [-value * math.log(p) for p, value in zip(share, truth, strict=True)]
                else:
                    logits = output.masks[clip, query, 0].flatten()
                    share, focal = logits.sigmoid().tolist(), list(map(plain_focal, logits.tolist(), truth))
                sums["mask"] += 1.5 * sum(focal) / len(focal)
                sums["dice"] += 0.5 * plain_dice(share, truth)
        top = bottom = 0.0
        for clip, query in itertools.product(range(2), range(frames * SLOTS)):
            column = wanted.get((clip, query), CLASSES)
            weight = 0.1 if column == CLASSES else 1.0
            top -= weight * output.logits[clip, query].log_softmax(-1)[column].item()
            bottom += weight
        last = layer == len(outputs) - 1
        prefix = "" if last else f"d{layer}."
        assert losses[f"{prefix}loss_cls"].item() == pytest.approx(3 * top / bottom, abs=1e-9)
        for name, value in sums.items():
            if last or deep or name in ("bbox", "giou"):
                assert losses[f"{prefix}loss_{name}"].item() == pytest.approx(value / number, rel=1e-6)
            else:
                assert f"{prefix}loss_{name}" not in losses


def test_matched_queries_are_those_of_the_frames_that_show_the_target():
    model = make_vistr()
    frames = torch.randint(0, 256, (1, 3, 3, 32, 48), dtype=torch.uint8)
    masks = torch.zeros(2, 3, 32, 48, dtype=torch.bool)
    masks[0, 0, 4:20, 6:30] = masks[0, 2, 4:20, 6:30] = True
    masks[1, 1, 10:30, 20:44] = True
    target = Targets(torch.tensor([3, 12]), masks)
    memory = model.features(frames)
    answer = model.with_masks(memory, model.decode_queries(memory)[-1:])[0]
    sequences = model._sequences(answer, [target])
    slots = model._criterion.match([answer], sequences).query[0].tolist()
    for ids, shown in (((3,), [[0, 2], []]), ((12,), [[], [1]]), ((3, 12), [[0, 2], [1]]), ((7,), [[], []])):
        wanted = torch.zeros(3, 4, dtype=torch.bool)
        for slot, times in zip(slots, shown, strict=True):
            wanted[times, slot] = True
        assert torch.equal(model.matched_to(answer, [target], ids)[0].view(3, 4), wanted)
    costs = model.matching_costs(answer, [target])[0].view(3, 4, 2)
    assert torch.equal(costs[0], costs[2])
    assert Pairs.of(sequences, model._criterion.match([answer], sequences)).number == 3


def test_no_object_and_empty_clips_teach_that_there_is_nothing():
    model = make_vistr()
    frames = torch.randint(0, 256, (2, 3, 3, 32, 48), dtype=torch.uint8)
    none = torch.zeros(1, 3, 32, 48, dtype=torch.bool)
    targets = (Targets(torch.tensor([NO_OBJECT]), none), Targets(torch.zeros(0, dtype=torch.int64), none[:0]))
    columns = []

    def classify(logits, wanted, weight):
        columns.append(wanted)
        return softmax_cross_entropy(logits, wanted, weight)

    memory = model.features(frames)
    losses = model.criterion(model.with_masks(memory, model.decode_queries(memory)), targets, classify)
    assert len(columns) == 3
    assert all((wanted == 3).all() for wanted in columns)
    assert losses["loss_mask"] == losses["loss_giou"] == losses["d0.loss_bbox"] == 0
    sum(losses.values()).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_losses_in_bf16_are_the_same_but_for_rounding():
    """As on a GPU: the mask head, which is asked for masks by the criterion, reads what was computed in bf16."""
    model = make_vistr()
    frames = torch.randint(0, 256, (1, 3, 3, 32, 48), dtype=torch.uint8)
    masks = torch.rand(1, 3, 32, 48) > 0.5
    clip = Clip(frames, torch.tensor([[32, 48]]), (Targets(torch.tensor([7]), masks),), ("a",))
    plain = model.losses(clip)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = model.losses(clip)
    assert all(value.dtype == torch.float32 for value in mixed.values())
    assert {k: v.item() for k, v in mixed.items()} == pytest.approx({k: v.item() for k, v in plain.items()}, rel=0.1)


def test_frames_that_are_shown_again_count_again():
    """A clip of two frames is the clip of three that shows the first one twice."""
    model = make_vistr()
    frames = torch.randint(0, 256, (1, 2, 3, 32, 48), dtype=torch.uint8)
    masks = torch.rand(1, 2, 32, 48) > 0.5
    again = [0, 1, 0]
    size = torch.tensor([[32, 48]])
    short = model.losses(Clip(frames, size, (Targets(torch.tensor([7]), masks),), ("a",)))
    whole = model.losses(Clip(frames[:, again], size, (Targets(torch.tensor([7]), masks[:, again]),), ("a",)))
    assert {k: v.item() for k, v in short.items()} == pytest.approx({k: v.item() for k, v in whole.items()}, rel=1e-5)
