"""Evaluation: predictions, scores, and test texts that are also in training data."""
