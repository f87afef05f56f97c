"""Mask2Former-VIS: one query is one track through all frames of a clip."""
