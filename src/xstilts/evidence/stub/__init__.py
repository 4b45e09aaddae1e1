"""A local server that answers as the five literature sources do, with a few dozen fictional works.

It speaks the formats of arXiv, Semantic Scholar, OpenAlex, Crossref and the ACL Anthology, and can fail as they do. It
serves tests, and trying reports without a network: `python -m xstilts.evidence.stub` prints the variables to set. None
of the works exists: their DOIs begin with 10.5555, their arXiv ids name a thirteenth month, and none of their results
was measured.
"""
