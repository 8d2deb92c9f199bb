"""The composition root: the only package that builds adapters. Front ends get everything from a `Workshop`."""

from __future__ import annotations

from chargehand.adapters.text import clean_text
from chargehand.wiring.workshop import Workshop, open_workshop

__all__ = ["Workshop", "clean_text", "open_workshop"]
