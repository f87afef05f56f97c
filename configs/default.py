# What every run starts from. Segmenter, schedule and learner files, then --set, are laid over it.

protocol = dict(
    split=None,  # None: what the scenario file says. holdout | official-valid | test-file | frames | same
    visibility=None,  # None: what the scenario file says. overlap | disjoint | sequential
    other_class_policy=None,  # None: what the scenario file says. drop | empty_target
    freeze="backbone",  # after step 0. backbone | none
    init="random",  # random | imagenet | coco | path of a checkpoint
)
sampling = dict(
    num_frames=2,  # frames of a training clip
    frame_range=20,  # the others lie within +- this many frames of the reference frame
    short_sides=[360, 480],  # pixels; one is drawn per clip
    max_size=1333,  # pixels, of the long side
    flip=0.5,  # probability of a horizontal flip, per clip
)
schedule = dict(
    batch_size=16,  # clips, over all GPUs
    base=dict(iterations=1500, lr=1e-4, policy="multistep"),  # multistep | cosine | constant
    incremental=dict(iterations=600, lr=1e-4, policy="multistep"),
    joint=dict(iterations=None, lr=1e-4, policy="multistep"),  # None: those of the whole stream together
    milestones=[2 / 3],  # of a step's iterations; learning rate x 0.1 (multistep)
    optimizer="adamw",  # adamw | sgd
    momentum=0.9,  # of sgd
    weight_decay=0.05,
    clip_grad=0.01,  # norm over all parameters; 0: off
    backbone_lr_mult=0.1,
    scale=1.0,  # multiplies every number of iterations: 0.01 for a smoke run
)
runtime = dict(
    seed=0,
    data=None,  # folder of the data set. None: $CVIS_DATA/<data set>, then ./data/<data set>
    runs="runs",  # where runs and the shared step-0 models go
    device="auto",  # auto | cpu | cuda
    amp="auto",  # auto: bf16 on CUDA, off on CPU. bf16 | off
    workers=0,  # data-loading processes
    checkpoint_every=200,  # iterations between checkpoints inside a step
    launcher="none",  # none | pytorch (torchrun) | slurm
    loggers=["tensorboard"],  # tensorboard | wandb | mlflow | aim | local
)
