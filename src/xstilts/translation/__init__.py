"""Translation of examples: by given translations or a translation model, with labels projected onto the new texts."""
