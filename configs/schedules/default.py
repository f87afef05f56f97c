# For streams without a published schedule (OVIS, your own data): that of 20-4; mind the number of your videos.
schedule = dict(base=dict(iterations=1500), incremental=dict(iterations=600))
