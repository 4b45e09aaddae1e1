"""The report of a question: its folder, its views, and its reviews."""
