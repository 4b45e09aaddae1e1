"""TODO errors."""

from __future__ import annotations


class InputError(ValueError):
    """Something a user gave is wrong; the message names the place, the value and the remedy."""
