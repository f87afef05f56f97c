# For vistr_tiny: as tiny, in larger batches; with two clips in a batch the class loss stayed at chance.
_base_ = "tiny.py"
schedule = dict(batch_size=8)
