"""Evaluation of evidence reports against judged questions, works, statements and pairs."""
