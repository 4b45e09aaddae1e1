"""Evaluation on a golden set: questions with graded works, findings and pairs that a reader has judged."""
