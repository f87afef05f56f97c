"""CrossVIS's masks and losses against the formulas, as plain loops in double precision."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cvis.errors import UserError
from cvis.segmenters.crossvis.assignment import assign, partners, seen
from cvis.segmenters.crossvis.criterion import Criterion, identity_loss
from cvis.segmenters.crossvis.layers import enlarged
from cvis.segmenters.crossvis.masks import count_parameters, dice_loss, dynamic_masks
from cvis.segmenters.crossvis.outputs import Grid, Locations
from cvis.types import NO_OBJECT, Targets

B, T, K, N = 2, 2, 3, 7
CHANNELS, STRIDE, FACTOR = 5, 4, 2
HEIGHT, WIDTH = 32, 48
STRIDES, SIZES = (8, 16), (12, 24)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


def batch():
    """Targets of two clips: one leaves after a frame, one is no object, two overlap, and one is large."""
    masks = torch.zeros(5, T, HEIGHT, WIDTH, dtype=torch.bool)
    masks[0, 0, 4:20, 6:28] = masks[0, 1, 8:22, 10:30] = True
    masks[1, 0, 6:15, 12:26] = True
    masks[3, :, 1:31, 1:40] = True
    masks[3, :, 1:12, 1:20] = False  # so that its centroid is not its box's centre
    masks[4, 1, 18:30, 30:46] = True
    ids = torch.tensor([4, 5, NO_OBJECT]), torch.tensor([5, 6])
    return (
        Targets(ids[0], masks[:3], torch.tensor([2, 0, 1])),
        Targets(ids[1], masks[3:], torch.tensor([-1, 6])),
    ), [torch.tensor([0, 1, K]), torch.tensor([1, 2])]


def shown_of(targets, columns, of_masks=True):
    return seen(targets, columns, [target.masks for target in targets], of_masks)


def random_output():
    levels = [torch.zeros(1, HEIGHT // stride, WIDTH // stride) for stride in STRIDES]
    grid, places = Grid.of(levels, STRIDES, SIZES), sum(level[0].numel() for level in levels)

    def noise(*shape):
        return torch.randn(*shape, dtype=torch.float64)

    return Locations(
        logits=noise(B, T * places, K),
        features=noise(B, T * places, 1),
        sides=noise(B * T, places, 4).relu(),
        centreness=noise(B * T, places),
        filters=noise(B * T, places, count_parameters(CHANNELS)) / 3,
        embeddings=noise(B * T, places, 6),
        mask_features=noise(B * T, CHANNELS, HEIGHT // STRIDE, WIDTH // STRIDE),
        grid=grid,
        frames=T,
    )


def plain_grid():
    return [
        (x * stride + stride // 2, y * stride + stride // 2, stride, size, lower)
        for stride, size, lower in zip(STRIDES, SIZES, (-1, SIZES[0]), strict=True)
        for y, x in itertools.product(range(HEIGHT // stride), range(WIDTH // stride))
    ]


def plain_positives(targets, columns, of_masks):
    """(frame, location) -> (clip, target, l, t, r, b) by FCOS's rules."""
    answer = {}
    for b, t in itertools.product(range(B), range(T)):
        for place, (x, y, stride, size, lower) in enumerate(plain_grid()):
            upper = size if stride == STRIDES[0] else math.inf
            best = math.inf
            for n in range(len(columns[b])):
                pixels = targets[b].masks[n, t].nonzero().tolist()
                if not pixels or columns[b][n] == K:
                    continue
                rows, cols = zip(*pixels, strict=True)
                left, top, right, bottom = min(cols), min(rows), max(cols) + 1, max(rows) + 1
                centre = ((left + right) / 2, (top + bottom) / 2)
                if of_masks:
                    centre = (sum(cols) / len(cols) + 0.5, sum(rows) / len(rows) + 0.5)
                sides = (x - left, y - top, right - x, bottom - y)
                near = abs(x - centre[0]) < 1.5 * stride and abs(y - centre[1]) < 1.5 * stride
                area = (right - left) * (bottom - top)
                if near and min(sides) > 0 and lower < max(sides) <= upper and area < best:
                    best = area
                    answer[b * T + t, place] = (b, n, *sides)
    return answer


def plain_mask(filters, point, size, features):
    """Equations 1 and 2: explicit convolutions for this object, then linear between the coarse pixels' centres."""
    channels, height, width = features.shape
    rel = torch.stack([
        torch.tensor([[(point[0] - (x * STRIDE + STRIDE // 2)) / size for x in range(width)]] * height),
        torch.tensor([[(point[1] - (y * STRIDE + STRIDE // 2)) / size] * width for y in range(height)]),
    ]).to(features)  # fmt: skip
    x, start = torch.cat((rel, features))[None], 0
    shapes = [(8, channels + 2), (8, 8), (1, 8)]
    bias = sum(out * incoming for out, incoming in shapes)
    for layer, (out, incoming) in enumerate(shapes):
        weight = filters[start : start + out * incoming].view(out, incoming, 1, 1)
        x = F.conv2d(x if layer == 0 else x.relu(), weight, filters[bias : bias + out])
        start, bias = start + out * incoming, bias + out
    small = x[0, 0]
    large = torch.zeros(height * FACTOR, width * FACTOR, dtype=small.dtype)
    for i, j in itertools.product(range(height * FACTOR), range(width * FACTOR)):
        row, column = (min(max((k - FACTOR // 2) / FACTOR, 0), n - 1) for k, n in ((i, height), (j, width)))
        above, left = small[math.floor(row)], math.floor(column)
        line = above + (row % 1) * (small[math.ceil(row)] - above)
        large[i, j] = line[left] + (column % 1) * (line[math.ceil(column)] - line[left])
    return large


def plain_dice(logits, wanted):
    p, q = logits.sigmoid().flatten().tolist(), wanted.flatten().tolist()
    top = sum(a * b for a, b in zip(p, q, strict=True))
    return 1 - 2 * top / (sum(a * a for a in p) + sum(b * b for b in q) + 1e-5)


def plain_focal(logit, right):
    p = 1 / (1 + math.exp(-logit))
    return -0.25 * (1 - p) ** 2 * math.log(p) if right else -0.75 * p**2 * math.log(1 - p)


@pytest.mark.parametrize("of_masks", [True, False])
def test_locations_answer_for_the_objects_that_fcos_gives_them(of_masks):
    targets, columns = batch()
    shown, output = shown_of(targets, columns, of_masks), random_output()
    found = assign(output.grid, shown, B * T, 1.5)
    expected = plain_positives(targets, columns, of_masks)
    assert {(int(f), int(p)) for f, p in zip(found.frame, found.location, strict=True)} == set(expected)
    assert {target for _, target, *_ in expected.values()} == {0, 1}  # of both clips; no object has no location
    grid = plain_grid()
    for index in range(len(found)):
        frame, place = int(found.frame[index]), int(found.location[index])
        clip, target, *sides = expected[frame, place]
        assert int(shown.target[found.row[index]]) == 3 * clip + target
        assert (found.sides[index] * grid[place][2]).tolist() == pytest.approx(sides)
        left, top, right, bottom = sides
        wide, tall = min(left, right) / max(left, right), min(top, bottom) / max(top, bottom)
        assert found.centreness[index].item() == pytest.approx(math.sqrt(wide * tall), abs=1e-6)


def test_of_two_equal_boxes_the_first_has_the_location():
    mask = torch.zeros(2, 1, HEIGHT, WIDTH, dtype=torch.bool)
    mask[:, :, 8:24, 8:24] = True
    targets = (Targets(torch.tensor([4, 5]), mask),)
    shown = shown_of(targets, [torch.tensor([0, 1])])
    found = assign(random_output().grid, shown, 1, 1.5)
    assert len(found) > 3
    assert not found.row.any()


def test_a_mask_is_a_network_of_its_own():
    output = random_output()
    rows, frames = torch.tensor([0, 5, 24, 29]), torch.tensor([0, 3, 1, 1])
    grid = plain_grid()
    found = dynamic_masks(
        output.filters[frames, rows],
        output.grid.points[rows],
        output.grid.interest[rows],
        frames,
        output.mask_features,
        STRIDE,
        FACTOR,
    )
    for mask, row, frame in zip(found, rows.tolist(), frames.tolist(), strict=True):
        plain = plain_mask(output.filters[frame, row], grid[row][:2], grid[row][3], output.mask_features[frame])
        torch.testing.assert_close(mask, plain, rtol=0, atol=1e-6)  # coordinates are of single precision
    wanted = torch.rand(found.shape, dtype=torch.float64) < 0.5
    dice = dice_loss(found, wanted.double())
    assert dice.tolist() == pytest.approx([plain_dice(*pair) for pair in zip(found, wanted, strict=True)], abs=1e-9)
    assert torch.equal(enlarged(found, 1), found)


def test_all_losses_are_their_formulas():
    """With every positive location's masks trained, and one partner to choose from."""
    targets, columns = batch()
    output, shown = random_output(), shown_of(targets, columns)
    identities = nn.Linear(6, N).double()
    losses = Criterion(identity_weight=2.0)(output, shown, identities, STRIDE, FACTOR)
    expected = plain_positives(targets, columns, True)
    grid, places, number = plain_grid(), output.sides.shape[1], len(expected)
    logits = output.logits.view(B * T, places, K)
    focal = box = weights = centre = identity = known = 0.0
    for frame, place in itertools.product(range(B * T), range(places)):
        clip, target, *sides = expected.get((frame, place), (0, -1))
        right = int(columns[clip][target]) if sides else None
        focal += sum(plain_focal(logits[frame, place, c].item(), c == right) for c in range(K))
        if not sides:
            continue
        left, t, r, b = (side / grid[place][2] for side in sides)
        c = math.sqrt(min(left, r) / max(left, r) * min(t, b) / max(t, b))
        fl, ft, fr, fb = output.sides[frame, place].tolist()
        shared = max(min(left, fl) + min(r, fr), 0) * max(min(t, ft) + min(b, fb), 0)
        union = (left + r) * (t + b) + (fl + fr) * (ft + fb) - shared
        around = (max(left, fl) + max(r, fr)) * (max(t, ft) + max(b, fb))
        box += c * (1 - (shared / union - (around - union) / around))
        weights += c
        p = 1 / (1 + math.exp(-output.centreness[frame, place].item()))
        centre -= c * math.log(p) + (1 - c) * math.log(1 - p)
        who = int(targets[clip].identities[target])
        if who >= 0:
            vector = output.embeddings[frame, place]
            scaled = math.sqrt(2) * math.log(N - 1) * vector / vector.norm()
            known += 1
            scores = (identities.weight @ scaled + identities.bias).tolist()
            identity += sum(plain_focal(score, n == who) for n, score in enumerate(scores))
    assert losses["loss_cls"].item() == pytest.approx(focal / number, rel=1e-6)
    assert losses["loss_box"].item() == pytest.approx(box / weights, rel=1e-5)
    assert losses["loss_centre"].item() == pytest.approx(centre / number, rel=1e-5)
    assert losses["loss_id"].item() == pytest.approx(2 * identity / known, rel=1e-6)
    fine = STRIDE // FACTOR
    dice = []
    for (frame, place), (clip, target, *_) in expected.items():
        mask = plain_mask(output.filters[frame, place], grid[place][:2], grid[place][3], output.mask_features[frame])
        dice.append(plain_dice(mask, targets[clip].masks[target, frame % T, fine // 2 :: fine, fine // 2 :: fine]))
    assert losses["loss_dice"].item() == pytest.approx(sum(dice) / number, abs=1e-6)


def test_crossover_within_a_frame_is_plain_condinst():
    """d = 0: both frames alike, and one location for each object, which is its own partner's twin."""
    masks = torch.zeros(2, T, HEIGHT, WIDTH, dtype=torch.bool)
    masks[0, :, 6:18, 6:18] = masks[1, :, 14:26, 30:42] = True
    targets = (Targets(torch.tensor([4, 5]), masks),)
    shown = shown_of(targets, [torch.tensor([0, 1])])
    whole = random_output()
    still = {
        name: getattr(whole, name)[:1].expand(T, *getattr(whole, name).shape[1:])
        for name in ("sides", "centreness", "filters", "embeddings", "mask_features")
    }
    output = replace(whole, logits=whole.logits[:1], **still)
    losses = Criterion(centre_radius=0.51)(output, shown, nn.Linear(6, N).double(), STRIDE, FACTOR)
    assert len(assign(output.grid, shown, T, 0.51)) == 4
    assert losses["loss_cross"].item() == pytest.approx(losses["loss_dice"].item(), abs=1e-12)
    moved = replace(output, filters=whole.filters[:T], mask_features=whole.mask_features[:T])
    losses = Criterion(centre_radius=0.51)(moved, shown, nn.Linear(6, N).double(), STRIDE, FACTOR)
    assert abs(losses["loss_cross"].item() - losses["loss_dice"].item()) > 1e-5


def test_crossover_is_equations_6_and_7():
    """The filter of a location in one frame, where the object is in the other, both ways."""
    targets, columns = batch()
    output, shown = random_output(), shown_of(targets, columns)
    positives = assign(output.grid, shown, B * T, 1.5)
    expected, grid, fine = plain_positives(targets, columns, True), plain_grid(), STRIDE // FACTOR
    for step, draw in itertools.product((1, -1), (0.0, 0.999)):
        drawn = torch.full((len(positives),), draw)
        source, partner = partners(positives, shown, T, step, drawn)
        pairs = {}
        for (frame, place), (clip, target, *_) in expected.items():
            there = [p for (f, p), (c, n, *_) in expected.items() if (f, c, n) == (frame + step, clip, target)]
            if 0 <= frame % T + step < T and there:
                pairs[frame, place] = frame + step, sorted(there)[0 if draw == 0 else -1]
        found = {
            (int(positives.frame[s]), int(positives.location[s])): (int(positives.frame[p]), int(positives.location[p]))
            for s, p in zip(source, partner, strict=True)
        }
        assert found == pairs
        assert len(pairs) > 3
    with pytest.MonkeyPatch.context() as patch:
        zeros = lambda shape, part, axis, like: torch.zeros(shape, dtype=like.dtype)  # noqa: E731
        patch.setattr("cvis.segmenters.crossvis.criterion.uniform", zeros)
        losses = Criterion()(output, shown, nn.Linear(6, N).double(), STRIDE, FACTOR)
    means = []
    for step in (1, -1):
        drawn = torch.zeros(len(positives))
        values = []
        for s, p in zip(*partners(positives, shown, T, step, drawn), strict=True):
            frame, place = int(positives.frame[p]), int(positives.location[p])
            clip, target, *_ = expected[frame, place]
            theta = output.filters[positives.frame[s], positives.location[s]]
            mask = plain_mask(theta, grid[place][:2], grid[place][3], output.mask_features[frame])
            values.append(
                plain_dice(mask, targets[clip].masks[target, frame % T, fine // 2 :: fine, fine // 2 :: fine])
            )
        means.append(sum(values) / len(values))
    assert losses["loss_cross"].item() == pytest.approx(sum(means) / 2, abs=1e-6)


def test_without_objects_losses_are_those_of_background():
    nothing = Targets(torch.tensor([NO_OBJECT]), torch.zeros(1, T, HEIGHT, WIDTH, dtype=torch.bool))
    shown = shown_of((nothing, nothing), [torch.tensor([K])] * 2)
    output = random_output()
    logits = output.logits.requires_grad_()
    losses = Criterion()(output, shown, nn.Linear(6, N).double(), STRIDE, FACTOR)
    background = sum(plain_focal(value, False) for value in logits.detach().flatten().tolist())
    assert losses.pop("loss_cls").item() == pytest.approx(background, rel=1e-9)
    assert [value.item() for value in losses.values()] == [0] * 5


def test_of_many_locations_some_have_their_masks_trained():
    targets, columns = batch()
    output, shown = random_output(), shown_of(targets, columns)
    filters = output.filters.requires_grad_()
    Criterion(max_masks=4)(output, shown, nn.Linear(6, N).double(), STRIDE, FACTOR)["loss_dice"].backward()
    trained = int(filters.grad.abs().amax(-1).count_nonzero())
    assert 0 < trained < len(assign(output.grid, shown, B * T, 1.5))


def test_mistakes_are_one_line():
    with pytest.raises(UserError, match=r"segmenter\.criterion\.centre: 'middle'"):
        Criterion(centre="middle")
    with pytest.raises(UserError, match=r"segmenter\.num_identities: 7: .* number 7"):
        identity_loss(torch.randn(2, 6), torch.tensor([0, 7]), nn.Linear(6, N))
