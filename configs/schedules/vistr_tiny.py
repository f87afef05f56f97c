# For vistr_tiny: as tiny, but a clip has three times as many frames, so a batch has half as many clips.
_base_ = "tiny.py"
schedule = dict(batch_size=2, base=dict(lr=1e-3))
