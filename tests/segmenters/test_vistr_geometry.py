"""VisTR's position code and boxes against plain float64 loops."""

import itertools
import math

import pytest
import torch

from cvis.segmenters.vistr.boxes import giou, mask_boxes
from cvis.segmenters.vistr.position import position_code


def test_position_code_is_z_y_x_side_by_side():
    """Each axis is normalised by its own last valid place, so padding moves nothing."""
    valid = torch.ones(2, 3, 4, 5, dtype=torch.bool)
    valid[1, :, 3:] = False
    valid[1, :, :, 2:] = False
    code = position_code(valid, 24)
    assert code.shape == (2, 3, 4, 5, 24)
    for b, (rows, columns) in enumerate([(4, 5), (3, 2)]):
        for t, y, x in itertools.product(range(3), range(rows), range(columns)):
            wanted = []
            for place, last in ((t + 1, 3), (y + 1, rows), (x + 1, columns)):
                for k in range(4):
                    angle = 2 * math.pi * place / (last + 1e-6) / 10000 ** (2 * k / 8)
                    wanted += [math.sin(angle), math.cos(angle)]
            assert code[b, t, y, x].tolist() == pytest.approx(wanted, abs=2e-6)


def plain_box(mask):
    inside = [(y, x) for y, row in enumerate(mask.tolist()) for x, value in enumerate(row) if value]
    if not inside:
        return [0, 0, 0, 0]
    ys, xs = zip(*inside, strict=True)
    height, width = mask.shape
    left, right, top, bottom = min(xs) / width, (max(xs) + 1) / width, min(ys) / height, (max(ys) + 1) / height
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def test_boxes_are_the_tightest():
    masks = torch.rand(3, 4, 7, 9) > 0.95
    masks[0, 0] = False
    masks[1, 1] = True
    boxes = mask_boxes(masks)
    for i, j in itertools.product(range(3), range(4)):
        assert boxes[i, j].tolist() == pytest.approx(plain_box(masks[i, j]), abs=1e-6)


def plain_giou(a, b):
    def corners(box):
        return box[0] - box[2] / 2, box[1] - box[3] / 2, box[0] + box[2] / 2, box[1] + box[3] / 2

    a, b = corners(a), corners(b)
    shared = max(0, min(a[2], b[2]) - max(a[0], b[0])) * max(0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    around = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return shared / union - (around - union) / around


def test_giou_is_the_formula():
    boxes = torch.rand(2, 40, 4, dtype=torch.float64)
    boxes[..., 2:] = boxes[..., 2:] * 0.5 + 0.01
    values = giou(boxes[0][:, None], boxes[1])
    for i, j in itertools.product(range(40), range(40)):
        assert values[i, j].item() == pytest.approx(plain_giou(boxes[0, i].tolist(), boxes[1, j].tolist()), abs=1e-9)
    assert values.min() < 0 < values.max()
    assert torch.allclose(giou(boxes, boxes), torch.ones(2, 40, dtype=torch.float64))
    assert giou(boxes[0], torch.zeros(4, dtype=torch.float64)).isfinite().all()
