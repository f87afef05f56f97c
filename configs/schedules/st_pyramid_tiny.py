# For st_pyramid_tiny: as tiny, at a higher pace; an iteration takes twice as long as one of vistr_tiny.
_base_ = "tiny.py"
schedule = dict(base=dict(iterations=2500, lr=1.5e-3))
