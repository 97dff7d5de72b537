"""Training that can be resumed: masked language models, and the loop that classifiers share."""
