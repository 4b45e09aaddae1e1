"""Verifiers of claims: an NLI model, baselines, and their calibration on SciFact."""
