# CRISP's released scripts: 150 iterations per new class, batch 16, 1e-4, milestone at 2/3.
schedule = dict(base=dict(iterations=1500), incremental=dict(iterations=600))
