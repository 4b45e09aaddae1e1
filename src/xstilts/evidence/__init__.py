"""Evidence reports: search the literature on a question, quote and verify what it states, and write it up.

Packages: `search` (sources, cache, corpus), `text` (sentences, numbers, hedges), `claims` (question, statements,
verdicts, synthesis), `verifier` (NLI models and their calibration), `report` (files and pages) and `stub` (a local
server with fictional works). `pipeline.make_report` runs all of it.
"""
