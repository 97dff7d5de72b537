"""Training that can be interrupted and resumed: of masked language models, and the loop of all trainings."""
