"""The search for works: queries, sources, requests and the corpus."""
