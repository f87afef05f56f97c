# For st_pyramid_tiny: as tiny, at twice its pace.
_base_ = "tiny.py"
schedule = dict(base=dict(lr=1.5e-3))
