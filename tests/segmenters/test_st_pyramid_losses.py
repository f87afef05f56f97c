"""The losses pixel by pixel, and clusters of hand-made maps."""

import numpy as np
import pytest
import torch

from cvis.segmenters.mask2former.criterion import softmax_cross_entropy
from cvis.segmenters.st_pyramid.clustering import Clustering
from cvis.segmenters.st_pyramid.criterion import Criterion
from cvis.segmenters.st_pyramid.lovasz import lovasz_hinge
from cvis.segmenters.st_pyramid.pixels import Pixels

SIZE = (2, 3, 4)  # T, h, w
N, CLASSES = 24, 3


def made(batch=1, channels=CLASSES):
    """What a model might say: random, in double precision, with gradients; of the first track, embeddings are near."""
    torch.manual_seed(0)
    shapes = (batch, N, channels), (batch, 4, N), (batch, 2, N), (batch, N)
    logits, embeddings, bandwidths, heat = (torch.randn(shape, dtype=torch.float64) for shape in shapes)
    embeddings[..., targets()[1][0].flatten()] /= 20
    logits, *rest = (x.requires_grad_() for x in (logits, embeddings, bandwidths, heat))
    return Pixels(logits, logits, *rest, SIZE)


def targets():
    """Two tracks that one clip shows, and one that it does not."""
    masks = torch.zeros(3, *SIZE, dtype=torch.bool)
    masks[0, :, :2, :2] = True
    masks[2, 1, 1:, 2:] = True
    return torch.tensor([2, 0, 1]), masks


def gaussian_of(pixels, mean, variance):
    """[N], one pixel after the other."""
    e = pixels.embeddings[0].detach().numpy()
    return np.array([np.exp(-0.5 * sum((e[d, i] - mean[d]) ** 2 / variance[d] for d in range(4))) for i in range(N)])


def test_losses_are_their_formulas():
    pixels, (columns, masks) = made(), targets()
    losses = Criterion()(pixels, [columns], [masks], None)
    e, b = (x[0].detach().numpy() for x in (pixels.embeddings, pixels.bandwidths))
    heat, logits = pixels.heat[0].detach().numpy(), pixels.logits[0].detach()
    emb, smooth, center, classes, used = [], [], [], [], []
    for column, mask in ((2, masks[0]), (1, masks[2])):
        inside = np.flatnonzero(mask.flatten().numpy())
        variance = [np.mean(np.exp(-b[d, inside]) / 10) if d < 2 else 0.3**2 for d in range(4)]
        p = gaussian_of(pixels, e[:, inside].mean(1), variance)
        emb.append(lovasz_hinge(torch.tensor(2 * p - 1)[None], mask.flatten()[None]).item())
        middle = b[:, inside].mean(1)
        smooth.append(np.mean([sum((b[d, i] - middle[d]) ** 2 for d in range(2)) for i in inside]))
        center.append(np.mean((heat[inside] - p[inside]) ** 2))
        found = np.flatnonzero(p > 0.5)
        used.append(len(found))
        mean = logits[found if len(found) else inside].mean(0)
        classes.append(-mean.log_softmax(0)[column].item())
    outside = np.flatnonzero(~(masks[0] | masks[2]).flatten().numpy())
    assert min(used) == 0 < max(used)  # one of them falls back to its mask
    assert losses["loss_emb"].item() == pytest.approx(np.mean(emb))
    assert losses["loss_smooth"].item() == pytest.approx(np.mean(smooth))
    assert losses["loss_center"].item() == pytest.approx((sum(center) + np.mean(heat[outside] ** 2)) / 3)
    assert losses["loss_cls"].item() == pytest.approx(np.mean(classes))
    weighted = Criterion(2.0, 3.0, 4.0, 5.0)(pixels, [columns], [masks], None)
    assert [weighted[name].item() / value.item() for name, value in losses.items()] == pytest.approx([2, 3, 4, 5])


def test_the_heat_follows_the_clusters_and_does_not_lead_them():
    pixels, (columns, masks) = made(), targets()
    Criterion()(pixels, [columns], [masks], None)["loss_center"].backward()
    assert pixels.heat.grad.abs().min() > 0
    assert not pixels.embeddings.grad.any()
    assert not pixels.bandwidths.grad.any()


def test_a_batch_is_the_mean_of_its_clips_and_a_clip_may_show_nothing():
    one, (columns, masks) = made(), targets()
    both = Pixels(*(torch.cat([x, x]) for x in list(vars(one).values())[:-1]), SIZE)
    nothing = (columns[:0], masks[:0])
    alone = Criterion()(one, [columns], [masks], None)
    empty = Criterion()(one, [nothing[0]], [nothing[1]], None)
    mixed = Criterion()(both, [columns, nothing[0]], [masks, nothing[1]], None)
    for name, value in mixed.items():
        torch.testing.assert_close(value, (alone[name] + empty[name]) / 2)
    assert [empty[name].item() for name in ("loss_emb", "loss_smooth", "loss_cls")] == [0, 0, 0]
    torch.testing.assert_close(empty["loss_center"], one.heat.square().mean())
    sum(empty.values()).backward()
    assert all(x.grad is not None for x in (one.logits, one.embeddings, one.bandwidths, one.heat))


def test_every_pixel_has_a_class_where_there_is_a_background():
    """Weights are those of the pixels' own columns; masks are brought to the size of the answer."""
    pixels, (columns, masks) = made(channels=CLASSES + 1), targets()
    large = masks.repeat_interleave(2, 2).repeat_interleave(2, 3)
    large[0, 0, 0, 0] = False  # three of four pixels are inside: the pixel of the answer is
    found = Criterion(no_object_weight=0.25)(pixels, [columns], [large], softmax_cross_entropy)["loss_cls"].item()
    total = weight = 0.0
    for i in range(N):
        column = 2 if masks[0].flatten()[i] else 1 if masks[2].flatten()[i] else CLASSES
        w = 0.25 if column == CLASSES else 1.0
        total -= w * pixels.logits[0, i].log_softmax(0)[column].item()
        weight += w
    assert found == pytest.approx(total / weight)


def clusterable():
    """One frame of 2 x 4 pixels: two objects in the left half, above and below, and one that is unsure."""
    embeddings = torch.zeros(1, 4, 8)
    embeddings[0, 0] = torch.tensor([0.0, 0.1, 3.0, 3.0, 1.0, 1.1, 5.0, 9.0])
    bandwidths = torch.full((1, 2, 8), -float(np.log(10)))  # variances of 1
    bandwidths[0, 0, 1] = -float(np.log(1000))  # of 100: as a centre, this pixel would take all
    heat = torch.tensor([[0.9, 0.85, 0.2, 0.1, 0.95, 0.3, 0.81, 0.0]])
    logits = torch.arange(16.0).view(1, 8, 2)
    return Pixels(logits, logits, embeddings, bandwidths, heat, (1, 2, 4))


def test_the_surest_centre_takes_the_pixels_that_are_near():
    """p > .5 is a distance below sqrt(2 ln 2) = 1.177; pixel 4 is the first centre, and takes its whole row's ones."""
    found = Clustering()(clusterable(), 0)
    assert found.heat.tolist() == pytest.approx([0.95, 0.81])
    assert (found.masks[0].flatten() > 0.5).tolist() == [True, True, False, False, True, True, False, False]
    assert found.masks[0].flatten()[0].item() == pytest.approx(np.exp(-0.5))
    assert found.logits.tolist() == [[5.0, 6.0], [12.0, 13.0]]  # means over pixels 0, 1, 4, 5; and 6
    assert found.masks[1].flatten()[[0, 1, 4, 5]].tolist() == [0, 0, 0, 0]  # what is taken is no other's
    narrow = Clustering(min_heat=0.25, min_probability=0.9)(clusterable(), 0)
    assert narrow.heat.tolist() == pytest.approx([0.95, 0.9, 0.81])
    assert (narrow.masks[1].flatten() > 0.9).nonzero().flatten().tolist() == [0, 1]
    assert len(Clustering(most=1)(clusterable(), 0).heat) == 1
    none = Clustering(min_heat=0.99)(clusterable(), 0)
    assert [x.shape for x in none] == [(0,), (0, 2), (0, 1, 2, 4)]
    density = Clustering(min_heat=0.5)(clusterable(), 0, normalised=True)  # it is nowhere more than .28: centres alone
    assert [mask.flatten().argmax().item() for mask in density.masks] == [4, 0, 1, 6]
