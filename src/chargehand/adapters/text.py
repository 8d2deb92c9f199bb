"""Text from agents, gates and plans made fit to show and keep: no control sequences, no secrets (SPEC 7)."""

from __future__ import annotations

import re

from chargehand.domain.secrecy import REDACTED, Vault, redact, secret_values

__all__ = ["REDACTED", "clean_text", "redact", "secret_values", "shown_without"]

# Every alternative also matches its unfinished form, so that no character is looked at twice.
_SEQUENCE = re.compile(
    r"""
      (?:\x1b\[|\x9b) [0-?]* [ -/]* [@-~]?                                      # CSI: colours, cursor, modes
    | (?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]) [^\x07\x1b\x9c\n]* (?:\x07|\x1b\\|\x9c)?   # OSC, DCS, SOS, PM, APC
    | \x1b [ -/]* [0-~]?                                                        # the short ones
    """,
    re.VERBOSE,
)
_RETURN = re.compile(r"\r+\n?|\x0b|\x0c|\x85|\u2028|\u2029")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean_text(text: str) -> str:
    """`text` without terminal sequences, control and bidirectional characters; only \\n and \\t are left of those.

    Every kind of line end becomes \\n; half a surrogate pair becomes the replacement character, so that the result
    can be written anywhere as UTF-8. Cleaning twice changes nothing more.
    """
    text = _SEQUENCE.sub("", text)
    text = _RETURN.sub("\n", text)
    text = _CONTROL.sub("", text)
    return _SURROGATE.sub("\ufffd", text)


def shown_without(text: str, vault: Vault) -> str:
    """`text` without secrets, also without one that only shows once the sequences between its letters are left out.

    Then the whole text comes without any.
    """
    text = vault.text(text)
    if text.isprintable():
        return text
    cleaned = clean_text(text)
    hidden = vault.text(cleaned)
    return text if hidden == cleaned else hidden
