_base_ = "ytvis2019-20-4.py"
schedule = dict(incremental=dict(iterations=300))
