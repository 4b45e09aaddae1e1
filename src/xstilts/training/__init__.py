"""Training: the one loop of every phase, with its recipes, optimizers, checkpoints and caches."""
