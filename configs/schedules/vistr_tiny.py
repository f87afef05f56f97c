# For vistr_tiny: as tiny, in larger batches; in smaller ones the matching of whole clips changes too often to learn names.
_base_ = "tiny.py"
schedule = dict(batch_size=8)
