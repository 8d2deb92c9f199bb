"""What the words behind any program may write or give away, whether or not somebody knows the program."""

from __future__ import annotations

from chargehand.adapters.guarding.look import Call, Look

__all__ = ["look_at_arguments"]


def look_at_arguments(_name: str, _call: Call, _look: Look, *, known: bool) -> None:
    """Report what the words would write outside; `known`: a handler of its own looks at the program as well."""
    del known
