"""Claims of the literature: statements, quotes, directions, verdicts, and their comparison with a study."""
