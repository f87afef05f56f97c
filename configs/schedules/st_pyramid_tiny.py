# For st_pyramid_tiny: as tiny, but a clip has four times as many frames, so a batch has half as many clips.
_base_ = "tiny.py"
schedule = dict(batch_size=2, base=dict(lr=1e-3))
