"""Claims: measures of a study's results, what is expected of them, and verdicts."""
