"""Errors that are written for users.

>>> raise InputError("a.csv:3: expected a label, found none; correct the row")
Traceback (most recent call last):
xstilts.errors.InputError: a.csv:3: expected a label, found none; correct the row
"""

from __future__ import annotations


class InputError(ValueError):
    """Something a user gave is wrong; the message names the place, the value and the remedy."""
