# For crossvis_tiny: as tiny.
_base_ = "tiny.py"
schedule = dict(base=dict(lr=1e-3))
