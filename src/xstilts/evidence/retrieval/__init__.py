"""Retrieval of works by meaning: an index on disk, queries of a question's own words, fusion and re-ranking."""
