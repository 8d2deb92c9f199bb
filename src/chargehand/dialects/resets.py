"""When a provider that refused says it can be asked again: told in headers, in bodies, or not at all."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

__all__ = ["duration_s", "retry_at"]

_FARTHEST_S = 31 * 86400.0
_EPOCH_FROM = 1_000_000_000  # a larger number is a point in time, a smaller one a time from now
_LENGTH = r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|d|days?|h|hours?|m|minutes?|mins?|s|seconds?|secs?)(?![a-z])"
_PART = re.compile(_LENGTH, re.IGNORECASE)
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_IN_TEXT = re.compile(
    rf"(?:try again|retry|retrying|resets?|wait)\s+(?:after|in|for)?\s*(?P<length>(?:{_LENGTH}[\s,]*(?:and\s+)?)+)",
    re.IGNORECASE,
)
_AT_EPOCH = re.compile(r"limit reached\|(\d{10,13})\b")
_LIMITS = (
    (
        "anthropic-ratelimit-{}-reset",
        "anthropic-ratelimit-{}-remaining",
        ("requests", "tokens", "input-tokens", "output-tokens"),
    ),
    ("x-ratelimit-reset-{}", "x-ratelimit-remaining-{}", ("requests", "tokens", "input-tokens", "output-tokens")),
)
_SINGLE = ("anthropic-ratelimit-unified-reset", "x-ratelimit-reset", "ratelimit-reset")


def retry_at(headers: Mapping[str, str], body: bytes, now: float) -> float | None:
    """When to ask again, in seconds since the epoch, never before `now`; None when nobody said.

    `headers` have lower-case names. What is said of this very refusal (Retry-After, a body) goes before the windows
    of rate limits, and of those the exhausted ones before the others. More than 31 days ahead is taken for noise.
    """
    for found in _candidates(headers, body, now):
        if math.isfinite(found) and found - now <= _FARTHEST_S:
            return max(found, now)
    return None


def _candidates(headers: Mapping[str, str], body: bytes, now: float) -> Iterator[float]:
    if (value := _number(headers.get("retry-after-ms", ""))) is not None:
        yield now + value / 1000
    if (found := _point(headers.get("retry-after", ""), now)) is not None:
        yield found
    yield from _in_body(body, now)
    for exhausted_only in (True, False):
        windows = list(_windows(headers, now, exhausted_only=exhausted_only))
        if windows:
            yield max(windows)
    for name in _SINGLE:
        if (found := _point(headers.get(name, ""), now)) is not None:
            yield found


def _windows(headers: Mapping[str, str], now: float, *, exhausted_only: bool) -> Iterator[float]:
    for reset, remaining, kinds in _LIMITS:
        for kind in kinds:
            found = _point(headers.get(reset.format(kind), ""), now)
            left = _number(headers.get(remaining.format(kind), ""))
            if found is not None and (not exhausted_only or (left is not None and left <= 0)):
                yield found


def _in_body(body: bytes, now: float) -> Iterator[float]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, list):  # Gemini's streams without `alt=sse`
        document = document[0] if document else None
    error = document.get("error") if isinstance(document, dict) else None
    if isinstance(error, dict):
        yield from _in_error(error, now)
    text = body[:65536].decode("utf-8", "replace")
    if found := _AT_EPOCH.search(text):
        yield _epoch(float(found[1]))
    if (said := _IN_TEXT.search(text)) and (seconds := duration_s(said["length"])) is not None:
        yield now + seconds


def _in_error(error: dict[str, Any], now: float) -> Iterator[float]:
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and (seconds := duration_s(delay)) is not None:
            yield now + seconds
    if isinstance(at := error.get("resets_at"), int | float):
        yield _epoch(float(at))
    if isinstance(seconds := error.get("resets_in_seconds"), int | float):
        yield now + float(seconds)


def _point(text: str, now: float) -> float | None:
    """A header's value as a point in time; it may be seconds from now, an epoch (s or ms), a duration, or a date."""
    text = text.strip()
    if not text:
        return None
    if (value := _number(text)) is not None:
        return _epoch(value) if value >= _EPOCH_FROM else now + value
    if (seconds := duration_s(text)) is not None:
        return now + seconds
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text)
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def duration_s(text: str) -> float | None:
    """`20s`, `6m0s`, `1h2m3.5s`, `37.5 seconds`, `120ms` in seconds; None when `text` is anything else."""
    text = text.strip().rstrip(" ,.")
    total, end = 0.0, 0
    for part in _PART.finditer(text):
        if text[end : part.start()].replace("and", "").strip(" ,"):
            return None
        unit = part[2].lower()
        total += float(part[1]) * (0.001 if unit.startswith(("ms", "mil")) else _UNITS[unit[0]])
        end = part.end()
    return total if end and end == len(text) else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _epoch(value: float) -> float:
    return value / 1000 if value > _EPOCH_FROM * 100 else value
