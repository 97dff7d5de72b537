"""Train models so that an interrupted run can resume: masked language models, and the loop of all trainings."""
