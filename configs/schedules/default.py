# For streams without a published schedule (OVIS, your own data): 20-4's; mind the number of your videos.
_base_ = "ytvis2019-20-4.py"
