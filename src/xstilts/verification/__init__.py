"""Verification: whether a report follows from the predictions in a store, and how two reports or stores differ."""
