"""Experiments: runs, grids and studies, and the tables of their results."""
