# CRISP's released scripts: 300 iterations per new class.
schedule = dict(base=dict(iterations=1500), incremental=dict(iterations=1500))
