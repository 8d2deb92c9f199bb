"""Providers that asked to wait, as the log, `status` and the header of a run tell it: until when, and who works."""

from __future__ import annotations

from chargehand.cli.progress import spoken
from chargehand.cli.render.header import header_lines
from chargehand.cli.render.lines import say
from chargehand.cli.render.pen import PLAIN
from chargehand.cli.render.summary import status_lines
from chargehand.cli.render.units import clock, moment
from chargehand.cli.render.waits import stand_in
from chargehand.domain.events import CircuitOpened, Recorded
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import ExitKind
from tests.play import Play, a_plan, a_task, ended

DAY_S = 86400.0


def waiting(*agents: AgentDef) -> Play:
    """A run whose first attempt met a rate limit."""
    who = agents[0].name
    play = Play(a_plan(a_task("a", agent=who), a_task("b", "a", agent=who)), agents=agents)
    play.begin()
    play.attempt("a", ended(ExitKind.RATE_LIMITED, retry_at=play.now + 90, detail="429 Too many"))
    return play


def named(name: str, fallback: str | None = None) -> AgentDef:
    return AgentDef(name=name, kind="command", command=f"{name} --do", fallback=fallback)


def logged(play: Play) -> str:
    (opened,) = (event for event in play.events if isinstance(event, CircuitOpened))
    return spoken(Recorded(seq=1, at=play.now, event=opened), play.state).detail


def test_the_log_says_until_when_and_who_takes_over():
    alone = waiting(named("claude"))
    until = clock(alone.now + 90)
    assert logged(alone) == f"the provider of claude asked to wait until {until}: 429 Too many"
    two = waiting(named("claude", "codex"), named("codex"))
    assert logged(two) == f"the provider of claude asked to wait until {until}; codex takes its tasks: 429 Too many"


def test_a_wait_of_days_names_the_day():
    now = 1_795_000_000.0
    assert moment(now + 5, now) == clock(now + 5)
    assert moment(now + 3 * DAY_S, now).startswith(f"{clock(now + 3 * DAY_S)} on ")
    assert moment(1e15, now) == "a time that no calendar has"
    event = CircuitOpened(agent="claude", until=now + 3 * DAY_S)
    assert say(event, at=now).detail == f"the provider of claude asked to wait until {moment(now + 3 * DAY_S, now)}"


def test_status_says_until_when_and_who_takes_over():
    alone, two = waiting(named("claude")), waiting(named("claude", "codex"), named("codex"))
    told = ["\n".join(status_lines(play.state, PLAIN, play.now + 10, held=True)) for play in (alone, two)]
    head = f"waiting the provider of claude asked to wait until {clock(alone.now + 90)}, 1m20s more; "
    assert head + "no other agent takes its tasks" in told[0]
    assert head + "codex takes its tasks" in told[1]
    over = "\n".join(status_lines(alone.state, PLAIN, alone.now + 100, held=True))
    assert "asked to wait until" not in over


def test_a_wait_is_no_attempt():
    """Neither while it lasts nor after it: people see the attempts that count."""
    play = waiting(named("claude"))
    row = next(line for line in status_lines(play.state, PLAIN, play.now, held=True) if " a " in line)
    assert "attempt" not in row
    play.pass_time(100)
    row = next(line for line in status_lines(play.state, PLAIN, play.now, held=True) if " a " in line)
    assert "1 attempt" in row
    play.attempt("a")
    row = next(line for line in status_lines(play.state, PLAIN, play.now, held=True) if " a " in line)
    assert "1 attempt" in row
    assert (play.task("a").attempts, play.task("a").waited) == (2, 1)


def test_who_stands_in_is_one_that_may_be_asked():
    """Also along a chain of fallbacks that ends where it began."""
    play = waiting(named("claude", "codex"), named("codex", "gemini"), named("gemini", "claude"))
    assert stand_in(play.state, "claude", play.now) == "codex"
    play.record(CircuitOpened(agent="codex", until=play.now + 50))
    assert stand_in(play.state, "claude", play.now) == "gemini"
    play.record(CircuitOpened(agent="gemini", until=play.now + 50))
    assert stand_in(play.state, "claude", play.now) == ""


def test_the_header_names_who_takes_over():
    play = waiting(named("claude", "codex"), named("codex"))
    text = " ".join(" ".join(header_lines(play.state, PLAIN, sandbox="Sandbox: none.")).split())
    assert "claude (claude --do, falls back to codex);" in text
    assert "what claude and codex uses is not known" in text
