"""Text of others made fit for a screen. Whatever is printed comes through here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["clean", "clean_styled", "to_json"]

_OUR_STYLES = re.compile(r"(\x1b\[(?:0|1|2|31|32|33|36)m)")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def clean(text: str) -> str:
    """`text` without terminal sequences, control and bidirectional characters; \\n and \\t stay."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    from chargehand.wiring import clean_text  # the adapters come with it: only where there is something to clean

    return clean_text(text)


def clean_styled(line: str) -> str:
    """The same for a line that holds the styles of `Pen.draw`."""
    if line.isprintable():
        return line
    parts = _OUR_STYLES.split(line)
    return "".join(part if number % 2 else clean(part) for number, part in enumerate(parts))


def to_json(document: Mapping[str, Any], *, indent: int | None = 2, ascii_only: bool = False) -> str:
    """A document as text that a terminal may show as it is: what is not printable is escaped."""
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent, allow_nan=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
