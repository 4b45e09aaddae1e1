"""Texts of works: sentences, stems, hedges and numbers."""
