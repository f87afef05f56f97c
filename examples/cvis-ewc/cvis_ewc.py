"""EWC (Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", PNAS 2017)."""

from torch.autograd import grad

from cvis import Learner
from cvis.data.clips import ClipDataset, collate
from cvis.learners.settings import Weight


class EWC(Learner):
    """Elastic weight consolidation: + weight / 2 sum_i F_i (w_i - w'_i)^2, w' the weights after the step before.

    F: the squared gradient of the losses, a mean over a step's clips, a sum over the steps so far (Huszar, PNAS 2018).
    """

    def __init__(self, segmenter, weight: Weight = 100.0):
        super().__init__(segmenter)
        self.weight = weight

    def begin_task(self, task):
        super().begin_task(task)
        for name, w in self.named_parameters():
            if not hasattr(self, key := name.replace(".", "/")):  # new in this step: nothing holds it yet
                self.register_buffer(key, w.new_zeros(2, *w.shape))  # F and w'

    def loss(self, clip):
        pulls = [(fisher * (w - rest) ** 2).sum() for w, fisher, rest in self.springs()]
        return {**self.segmenter.losses(clip), "loss_ewc": self.weight / 2 * sum(pulls)}

    def end_task(self, task):
        clips, (weights, fishers, rests) = ClipDataset(task.train, self.sampling), zip(*self.springs(), strict=True)
        for clip in (collate([clips[index, 0]]).to(weights[0].device) for index in range(len(clips))):
            losses = self.segmenter.losses(clip).values()
            for fisher, slope in zip(fishers, grad(sum(losses), weights, materialize_grads=True), strict=True):
                fisher += slope**2 / len(clips)
        for w, rest in zip(weights, rests, strict=True):
            rest.copy_(w.detach())

    def springs(self):
        return [(w, *getattr(self, n.replace(".", "/"))) for n, w in self.named_parameters() if w.requires_grad]
