_base_ = "ytvis2019-20-4.py"
schedule = dict(base=dict(iterations=750), incremental=dict(iterations=3000))
