"""One of two processes that share batches: losses and gradients of learners in their second step.

Started by test_processes.py, which asks :func:`losses_and_gradients` for the same of one process with all clips.
"""

import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from mmengine.dist import get_dist_info

sys.path.insert(0, str(Path(__file__).parents[1]))

from slot_toys import SigmoidToy
from small_crossvis import make_crossvis
from small_pyramid import make_pyramid
from small_vistr import make_vistr
from two_models import make_learner, make_segmenter

from cvis.data.clips import Sample, collate
from cvis.engine.launch import as_one_batch, check_processes, distribute
from cvis.engine.tasks import StateError, check_alike
from cvis.errors import UserError
from cvis.segmenters.shared_batch import mean_of_all
from cvis.types import Clip

CPU = torch.device("cpu")
LEARNERS = {
    "finetune": {},
    "replay": {},
    "crisp": dict(num_prompts=4, text_encoder={"model": "tiny", "pretrained": "random"}),
    "comformer": {},
    "combo": {},
    "balconpas-memory": {},
    "mib": {},  # of sigmoids
    "dense-memory": dict(type="balconpas", tracks_per_class=2, min_overlap=0.0),
    "ctvis": dict(type="finetune"),
    "vistr": dict(type="finetune"),
    "crossvis": dict(type="finetune"),
    "st_pyramid": dict(type="finetune"),
}
SEGMENTERS = {
    "mib": SigmoidToy,
    "dense-memory": SigmoidToy,
    "ctvis": lambda: make_segmenter(type="ctvis"),
    "vistr": lambda: make_vistr(()),
    "crossvis": lambda: make_crossvis((), criterion=dict(max_masks=9)),
    "st_pyramid": lambda: make_pyramid(()),
}
"""Of the learners that have another one than the others."""
SIZES = (24, 32), (32, 40), (16, 48), (32, 32)
CLASSES = {
    "a process without objects": ((40,), (41, 40), (), ()),
    "old objects in one process": ((40,), (), (7,), (41, 7)),
    "no object at all": ((), (), (), ()),
}


def samples(classes) -> list[Sample]:
    """Four clips of two frames, of other sizes each; their objects are rectangles one above the other."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for (height, width), ids in zip(SIZES, classes, strict=True):
        frames = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=generator)
        masks = torch.zeros(len(ids), 2, height, width, dtype=torch.bool)
        for index in range(len(ids)):
            masks[index, :, 1 + 8 * index : 7 + 8 * index, 4:20] = True
        identities = torch.arange(len(made), len(made) + len(ids))
        made.append(Sample(frames, torch.tensor(ids, dtype=torch.int64), masks, "a clip", identities=identities))
    return made


def share(classes) -> Clip:
    """This process's clips of a batch of four."""
    rank, processes = get_dist_info()
    each = len(SIZES) // processes
    return as_one_batch(collate(samples(classes)[rank * each : (rank + 1) * each]))


def losses_and_gradients() -> dict:
    """By learner and batch: the loss of the whole batch, all gradients, and the next number that torch would draw."""
    found = {}
    for name, settings in LEARNERS.items():
        learner = make_learner(name, segmenter=SEGMENTERS.get(name, make_segmenter)(), **settings).double()
        model = distribute(learner, CPU)
        for case, classes in CLASSES.items():
            torch.manual_seed(1)
            learner.zero_grad()
            total = torch.stack(list(model(share(classes)).values())).sum()
            total.backward()
            check_processes(learner, case, first=True)
            gradients = {key: p.grad for key, p in learner.named_parameters() if p.requires_grad}
            found[f"{name}, {case}"] = mean_of_all(total).detach(), gradients, torch.rand(())
    return found


def refused() -> list[str]:
    """What is said of state that each process makes of its own clips, and of a parameter without a gradient."""
    learner = make_learner("finetune")
    learner.segmenter.seen = torch.nn.BatchNorm2d(3)
    check_alike(learner, "begin_task")  # nothing differs yet
    learner.segmenter.seen(share(CLASSES["no object at all"]).frames[:, 0].float())
    with pytest.raises(StateError) as differs:
        check_alike(learner, "training")
    learner.requires_grad_(False)
    learner.idle = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(UserError) as idle:
        check_processes(learner, "step 1", first=False)
    return [str(differs.value), str(idle.value)]


def main(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(str(folder / "store"), 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(minutes=5))
    torch.save({**losses_and_gradients(), "refused": refused()}, folder / f"{rank}.pth")
    torch.distributed.barrier()  # a process that waits for a sum too many or too few hangs here, and times out
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
