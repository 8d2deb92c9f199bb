"""Conversations recorded by the meter, and played back without any provider."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chargehand.adapters.meter import Player, Recorder
from chargehand.dialects import Dialect
from chargehand.domain.errors import UserError
from tests.talking import (
    KEY,
    SPEECHES,
    Speech,
    ask,
    every_dialect,
    metered,
    no_proxies,
    scenario,
    spec,
    streamed_or_not,
)

pytestmark = pytest.mark.usefixtures("no_proxies")
__all__ = ["no_proxies"]

NUMBERS = {"input": 1000, "output": 50, "cached": 600}


@every_dialect
@streamed_or_not
def test_a_recorded_conversation_is_played_back(run: Any, tmp_path: Path, speech: Speech, streams: bool) -> None:
    tape = tmp_path / "tape.jsonl"
    steps = ({"error": {"status": 429, "retry_after_s": 5}}, {"say": "Grüße. " * 30}, {"say": "Second."})

    def prompt(day: str, folder: str) -> str:
        return (
            f"Session 01234567-89ab-cdef-0123-456789abcdef of 2026-{day}T10:00:00Z, working directory: {folder}/x\nGo."
        )

    async def record() -> list[bytes]:
        async with metered(scenario(*steps, usage=NUMBERS), cassette=Recorder(tape)) as (_, meter):
            access = meter.open(spec(scrub=(("/home/one/tree", "<tree>"),)))
            text = prompt("11-20", "/home/one/tree")
            return [
                (await ask(access.base_url, speech, streams=streams, prompt=text, token=access.token)).raw
                for _ in range(2)
            ]

    async def play(recorded: list[bytes]) -> None:
        player = Player(tape)
        async with metered(scenario({"say": "never asked"}), cassette=player, now=lambda: 500.0) as (server, meter):
            access = meter.open(spec(scrub=(("/home/two/tree", "<tree>"),)))
            text = prompt("11-21", "/home/two/tree")
            for raw in recorded:
                answer = await ask(access.base_url, speech, streams=streams, prompt=text, token=access.token)
                assert answer.raw == raw
            record = meter.look("attempt")
            assert (record.tokens, record.failures) == (1050, 1)
            assert record.problems[0].retry_at == 505.0
            assert (player.left, player.missed) == (0, [])
            answer = await ask(access.base_url, speech, streams=streams, prompt=text, token=access.token)
            assert answer.status == 400
            assert "no answer left" in answer.document["error"]["message"]
            assert len(player.missed) == 1
            assert not server.seen

    run(play(run(record())))
    assert stat.S_IMODE(tape.stat().st_mode) == 0o600


@every_dialect
def test_no_secret_is_on_the_tape(run: Any, tmp_path: Path, speech: Speech) -> None:
    tape, other = tmp_path / "tape.jsonl", 'pass"word-of-the-project'

    async def record() -> str:
        steps = ({"error": {"status": 401, "message": f"Wrong key {KEY}."}}, {"say": f"It is {KEY} and {other}."})
        async with metered(scenario(*steps), cassette=Recorder(tape, secrets=(other,))) as (_, meter):
            access = meter.open(spec())
            text = f"My key is {access.token}, and {other}."  # which nobody could have told it
            for _ in range(2):
                await ask(access.base_url, speech, prompt=text, token=access.token)
            return str(access.token)

    token = run(record())
    written = tape.read_text()
    assert KEY not in written
    assert token not in written
    whole = "".join(
        piece if isinstance(piece, str) else ""
        for line in written.splitlines()
        for _, piece in json.loads(line)["answer"]["pieces"]
    )
    assert KEY not in whole
    assert "password-of-the-project" not in whole.replace("\\", "").replace('"', "")
    for line in written.splitlines():
        entry = json.loads(line)
        assert not {name.lower() for name in entry["answer"]["headers"]} & {"authorization", "set-cookie", "x-api-key"}
        assert "headers" not in entry["question"]


def test_a_broken_answer_is_broken_again(run: Any, tmp_path: Path) -> None:
    tape, speech = tmp_path / "tape.jsonl", SPEECHES[Dialect.CHAT]

    async def both() -> None:
        async with metered(scenario({"say": "A long text. " * 9, "cut": 3}), cassette=Recorder(tape)) as (_, meter):
            access = meter.open(spec())
            with pytest.raises(aiohttp.ClientError):
                await ask(access.base_url, speech, token=access.token)
        async with metered(scenario({"say": "x"}), cassette=Player(tape)) as (_, meter):
            access = meter.open(spec())
            with pytest.raises(aiohttp.ClientError):
                await ask(access.base_url, speech, token=access.token)
            assert meter.look("attempt").problems[0].status == 502

    run(both())


@pytest.mark.parametrize("text", ["{", "[]", '{"question": {}}', '{"question": {"hash": 1}, "answer": {}}'])
def test_a_tape_that_cannot_be_played(tmp_path: Path, text: str) -> None:
    tape = tmp_path / "tape.jsonl"
    tape.write_text(text + "\n")
    with pytest.raises(UserError, match="cannot be played"):
        Player(tape)
    with pytest.raises(UserError, match="cannot be played"):
        Player(tmp_path / "none")
