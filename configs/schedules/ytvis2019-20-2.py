# CRISP's released scripts: 150 iterations per new class.
schedule = dict(base=dict(iterations=1500), incremental=dict(iterations=300))
