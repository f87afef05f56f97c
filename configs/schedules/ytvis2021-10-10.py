# CRISP's released scripts: 300 iterations per new class.
schedule = dict(base=dict(iterations=750), incremental=dict(iterations=3000))
