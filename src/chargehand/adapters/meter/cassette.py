"""Conversations with providers, written to a file and played back from it.

One JSON object a line: the question (method, path, a body made comparable, and its hash) and the answer (status,
headers that matter, pieces with the seconds between them). Keys, tokens and login headers are never written.
"""

from __future__ import annotations

import asyncio
import base64
import codecs
import json
import os
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from chargehand.adapters.meter.arrival import Arrival, Question
from chargehand.adapters.text import redact
from chargehand.dialects import refusal, route
from chargehand.domain.errors import UserError
from chargehand.domain.secrecy import Vault

__all__ = ["Player", "Recorder", "comparable"]

_MOST_BYTES = 32 * 1024 * 1024
_KEPT_HEADERS = re.compile(
    r"^(content-type|content-encoding|retry-after.*|.*ratelimit.*|x-should-retry)$", re.IGNORECASE
)
_VOLATILE_KEYS = frozenset(
    {"metadata", "user", "prompt_cache_key", "safety_identifier", "client_metadata", "user_prompt_id", "session_id"}
)
_VOLATILE = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE), "<uuid>"),
    (re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"), "<time>"),
    (re.compile(r"\b\d{1,2}:\d{2}:\d{2}\b"), "<time>"),
    (re.compile(r"\b\d{1,2}/\d{1,2}/\d{4}\b"), "<time>"),
    (
        re.compile(
            r"\b(?:(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,? )?(?:January|February|March|April|May|June|July|August|"
            r"September|October|November|December) \d{1,2},? \d{4}\b"
        ),
        "<time>",
    ),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:ms|s|secs?|seconds)\b"), "<time>"),
    (re.compile(r"\b[0-9a-f]{6,64}\b"), "<hex>"),  # words such as `decade`, too: on both sides alike
)


def comparable(document: object, scrub: Iterable[tuple[str, str]] = ()) -> Any:
    """A body without what differs each time: ids, times, hashes, and what `scrub` names."""
    given = [pair for pair in scrub if pair[0]]
    # A path also names a folder of its own in some agents' homes: /srv/tree, -srv-tree.
    given += [(re.sub(r"[^A-Za-z0-9]", "-", text), stands_for) for text, stands_for in given if text.startswith("/")]
    pairs = tuple(sorted(given, key=lambda pair: -len(pair[0])))

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items() if key not in _VOLATILE_KEYS}
        if isinstance(value, list):
            return [plain(inner) for inner in value]
        if isinstance(value, str):
            for text, stands_for in pairs:
                value = value.replace(text, stands_for)
            for pattern, stands_for in _VOLATILE:
                value = pattern.sub(stands_for, value)
        return value

    return plain(document)


def _clean(question: Question, secrets: Iterable[str]) -> Any:
    """The body, comparable and without secrets: an answer that is played has none, and neither what comes of it."""
    return json.loads(redact(json.dumps(comparable(question.document, question.scrub)), tuple(secrets)))


def _fingerprint(question: Question, body: object) -> str:
    text = json.dumps([question.method, question.path, body], sort_keys=True)
    return sha256(text.encode()).hexdigest()


class Recorder:
    """Adds every exchange to the file at `path`, which only this user may read.

    `secrets`, and those that `vault` knows then, are kept out of it, too. `UserError` when it cannot be written.
    """

    def __init__(self, path: Path, *, secrets: Iterable[str] = (), vault: Vault | None = None) -> None:
        self._path = path
        self._secrets = tuple(secrets)
        self._vault = vault or Vault()
        try:
            os.close(self._opened())
        except OSError as error:
            text = f"The cassette {path} cannot be written: {error.strerror}."
            raise UserError(text, code="cassette", file=str(path), hint="Name a file in a folder of yours.") from None

    def _opened(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    @asynccontextmanager
    async def recording(
        self, question: Question, asking: AbstractAsyncContextManager[Arrival], *, hidden: Iterable[str] = ()
    ) -> AsyncIterator[Arrival]:
        """The arrival of `asking`, written down when it is over; one that broke off is marked, a huge one left out."""
        async with asking as arrival:
            pieces: list[tuple[float, bytes]] = []
            is_whole = False

            async def listened() -> AsyncIterator[bytes]:
                nonlocal is_whole
                last = time.monotonic()
                async for chunk in arrival.chunks:
                    now = time.monotonic()
                    pieces.append((round(now - last, 4), chunk))
                    last = now
                    yield chunk
                is_whole = True

            try:
                yield Arrival(status=arrival.status, reason=arrival.reason, headers=arrival.headers, chunks=listened())
            finally:
                if sum(len(chunk) for _, chunk in pieces) <= _MOST_BYTES:
                    known = (*self._secrets, *self._vault.values, *hidden)
                    secrets = sorted({secret for secret in known if secret}, key=len, reverse=True)
                    self._write(question, arrival, pieces, secrets, is_whole=is_whole)

    def _write(
        self,
        question: Question,
        arrival: Arrival,
        pieces: list[tuple[float, bytes]],
        secrets: list[str],
        *,
        is_whole: bool,
    ) -> None:
        body = _clean(question, secrets)
        line = {
            "question": {
                "method": question.method,
                "path": question.path,
                "hash": _fingerprint(question, body),
                "body": body,
            },
            "answer": {
                "status": arrival.status,
                "headers": {name: value for name, value in arrival.headers if _KEPT_HEADERS.match(name)},
                "pieces": _written(pieces, secrets),
                "whole": is_whole,
            },
        }
        file = self._opened()
        try:
            os.write(file, json.dumps(line).encode() + b"\n")
        finally:
            os.close(file)


def _written(pieces: list[tuple[float, bytes]], secrets: list[str]) -> list[list[object]]:
    """The pieces as text without secrets, or as base64 when they are none.

    A secret that stretches over two pieces makes one of all of them.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        texts = [(after_s, decoder.decode(chunk)) for after_s, chunk in pieces]
    except UnicodeDecodeError:
        return [[after_s, {"base64": base64.b64encode(chunk).decode("ascii")}] for after_s, chunk in pieces]
    clean = [(after_s, redact(text, secrets)) for after_s, text in texts]
    whole = redact("".join(text for _, text in texts), secrets)
    if whole != "".join(text for _, text in clean):
        clean = [(sum(after_s for after_s, _ in texts), whole)]
    return [[after_s, text] for after_s, text in clean]


class Player:
    """Answers from the file at `path`: the first entry not yet played whose question is the same.

    A question that is not in it is answered with an error, and named in `missed`. `pace` stretches the time between
    the pieces of an answer; 0, the default, plays them as fast as they go. `vault` knows the secrets that were kept
    out of questions when they were recorded.
    """

    def __init__(self, path: Path, *, pace: float = 0.0, vault: Vault | None = None) -> None:
        self.missed: list[str] = []
        self._vault = vault or Vault()
        self._pace = pace
        self._entries: list[dict[str, Any] | None] = []
        try:
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                entry["question"]["hash"], entry["answer"]["status"], entry["answer"]["pieces"]
                self._entries.append(entry)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"The cassette {path} cannot be played: {error}.",
                code="cassette",
                file=str(path),
                hint="Record it anew.",
            ) from None

    @property
    def left(self) -> int:
        """How many entries were not played."""
        return sum(entry is not None for entry in self._entries)

    @asynccontextmanager
    async def answer(self, question: Question) -> AsyncIterator[Arrival]:
        """What was answered to this question when it was recorded."""
        wanted = _fingerprint(question, _clean(question, self._vault.values))
        for index, entry in enumerate(self._entries):
            if entry is not None and entry["question"]["hash"] == wanted:
                self._entries[index] = None
                yield self._arrival(entry["answer"])
                return
        self.missed.append(f"{question.method} {question.path} {wanted[:12]}")
        text = f"The cassette has no answer left for {question.method} {question.path} ({wanted[:12]})."
        told = refusal(route(question.method, question.path).dialect, 400, text, code="cassette")

        async def once() -> AsyncIterator[bytes]:
            yield told.body

        headers = (("Content-Type", "application/json"), *told.headers)
        yield Arrival(status=told.status, reason="Bad Request", headers=headers, chunks=once())

    def _arrival(self, answer: dict[str, Any]) -> Arrival:
        async def played() -> AsyncIterator[bytes]:
            for after_s, content in answer["pieces"]:
                if self._pace:
                    await asyncio.sleep(after_s * self._pace)
                yield content.encode() if isinstance(content, str) else base64.b64decode(content["base64"])
            if not answer.get("whole", True):
                raise ConnectionResetError("the recorded answer broke off here")

        headers = tuple((str(name), str(value)) for name, value in answer.get("headers", {}).items())
        return Arrival(status=int(answer["status"]), reason="", headers=headers, chunks=played())
