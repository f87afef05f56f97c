learner = dict(type="finetune")
