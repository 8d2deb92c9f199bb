"""A run on a terminal: the display, Ctrl-C, and questions asked where the run was started (SPEC 9, 10.1)."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, task
from tests.repos import Repo

FAILED = {"report": {"status": "FAILED", "summary": "it does not work"}, "write": {}}
PATIENCE_S = 60


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "cli")


class Screen:
    """A child on a terminal of its own: what it wrote, and keys for it."""

    def __init__(self, pid: int, terminal: int) -> None:
        self.pid = pid
        self.text = ""
        self._seen = 0
        self._terminal = terminal
        self._status: int | None = None

    def wait_for(self, text: str) -> None:
        """Read until `text` is there; what comes after it is looked at by the next call."""
        while (place := self.text.find(text, self._seen)) < 0:
            assert self._read() is not None, f"{text!r} never came:\n{self.text}"
        self._seen = place + len(text)

    def _read(self) -> str | None:
        ready, _, _ = select.select([self._terminal], [], [], PATIENCE_S)
        assert ready, f"nothing comes any more:\n{self.text}"
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # the other end is closed
            return None
        self.text += data.decode("utf-8", "replace")
        return data.decode("utf-8", "replace") if data else None

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._terminal, keys.encode())

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read() is not None:
            pass
        if self._status is None:
            _, self._status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(self._status)

    def resize(self, columns: int) -> None:
        """Give the terminal another width, which tells the child."""
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))

    def hang_up(self) -> int:
        """Close the terminal, as a closed window does; the exit code of the child."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self._terminal)
        os.close(nowhere)
        _, self._status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(self._status)

    def close(self) -> None:
        """End the child if it has not ended."""
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._terminal)


@contextmanager
def screen(cli: CliWorld, *words: str | Path, columns: int = 100, **env: str) -> Iterator[Screen]:
    """Start `chargehand` on a terminal of 30 rows."""
    argv = [sys.executable, "-m", "chargehand", *map(str, words)]
    environ = {**cli.environ, **env}
    # a child of its own session, made by exec right after the fork: nothing of pytest runs in it
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover
        os.chdir(cli.repo.path)
        os.execve(argv[0], argv, environ)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    shown = Screen(pid, terminal)
    try:
        yield shown
    finally:
        shown.close()


def run_words(cli: CliWorld, plan: Path, *words: str) -> list[str | Path]:
    return ["run", plan, "--agent-command", cli.agent, "--sandbox", "none", *words]


def test_a_question_is_asked_and_answered_where_the_run_was_started(cli: CliWorld):
    """I9: an empty line and a wrong word are no answers; one line answers one question."""
    cli.script({"a": [FAILED, FAILED, {}], "b": [FAILED, FAILED, {}]})
    plan = cli.plan([task("a"), task("b")])
    with screen(cli, *run_words(cli, plan)) as shown:
        shown.wait_for("[retry/skip/stop]: ")
        shown.press("\n")
        shown.wait_for("Choose one of: retry, skip, stop.")
        shown.wait_for("[retry/skip/stop]: ")
        shown.press("nonsense\n")
        shown.wait_for("Choose one of")
        shown.wait_for("[retry/skip/stop]: ")
        shown.press("re\nskip\n")
        shown.wait_for("(empty: nothing): ")
        shown.press("mind the gap\n")
        shown.wait_for("[retry/skip/stop]: ")
        shown.press("skip\n")
        assert shown.end() == 0
    states = {row["id"]: row["state"] for row in cli.call("status", "--json").document["tasks"]}
    assert sorted(states.values()) == ["integrated", "skipped"]
    landed = next(name for name, state in states.items() if state == "integrated")
    assert "mind the gap" in cli.call("show", landed, "--brief").stdout


def test_an_answer_from_elsewhere_ends_the_question(cli: CliWorld):
    """I9: whoever answers first."""
    plan = cli.plan([task("a", needs_human=True)])
    with screen(cli, *run_words(cli, plan)) as shown:
        shown.wait_for("d1 [approve/reject]: ")
        assert cli.call("approve", "d1").code == 0
        assert shown.end() == 0
    (line,) = (line for line in shown.text.splitlines() if "d1: approve, by uma" in line)
    assert "[approve/reject]" not in line, "not behind the prompt"


def test_a_question_breaks_at_words_on_a_narrow_terminal(cli: CliWorld):
    words = " ".join(f"word{number}" for number in range(30))
    cli.script({"a": [{"report": {"status": "FAILED", "summary": words}, "write": {}}]})
    with screen(cli, *run_words(cli, cli.plan([task("a")])), columns=60) as shown:
        shown.wait_for("[retry/skip/stop]: ")
        shown.press("\x03")
        assert shown.end() == 130
    asked = shown.text[shown.text.index("Only your answer") : shown.text.index("[retry/skip/stop]: ")]
    lines = [line for line in asked.splitlines() if "chargehand " not in line]
    assert len(lines) > 5
    assert all(len(line.replace("\x1b[33m", "").replace("\x1b[0m", "")) <= 60 for line in lines)
    assert all(f"word{number}" in asked for number in range(30))


def test_a_terminal_of_another_width_is_wiped_and_drawn_anew(cli: CliWorld):
    cli.script({"a": [{"hang": True, "say": "hanging now"}]})
    with screen(cli, *run_words(cli, cli.plan([task("a")]))) as shown:
        shown.wait_for("hanging now")
        shown.resize(50)
        shown.wait_for("\x1b[H\x1b[J")
        shown.wait_for("hanging now")
        shown.press("\x03")
        assert shown.end() == 130


def test_a_closed_terminal_ends_the_run_cleanly(cli: CliWorld):
    """I11, I12: like Ctrl-C once; afterwards nothing is said to be running."""
    cli.script({"a": [{"hang": True, "say": "hanging now"}]})
    with screen(cli, *run_words(cli, cli.plan([task("a")]))) as shown:
        shown.wait_for("hanging now")
        assert shown.hang_up() == 130
    document = cli.call("status", "--json").document
    assert (document["state"], document["tasks"][0]["state"]) == ("interrupted", "waiting")
    assert "interrupted" in cli.call("log").stdout


def test_a_terminal_that_is_closed_at_a_question(cli: CliWorld):
    with screen(cli, *run_words(cli, cli.plan([task("a", needs_human=True)]))) as shown:
        shown.wait_for("d1 [approve/reject]: ")
        assert shown.hang_up() == 130
    assert len(cli.call("decisions", "--json").document["decisions"]) == 1


def test_no_wait_leaves_at_once(cli: CliWorld):
    plan = cli.plan([task("a", needs_human=True)])
    with screen(cli, *run_words(cli, plan, "--no-wait")) as shown:
        assert shown.end() == 4
    assert "chargehand answer d1 approve|reject" in shown.text


def test_ctrl_c_while_a_question_waits(cli: CliWorld):
    plan = cli.plan([task("a", needs_human=True)])
    with screen(cli, *run_words(cli, plan)) as shown:
        shown.wait_for("d1 [approve/reject]: ")
        shown.press("\x03")
        assert shown.end() == 130
    assert "chargehand resume todo-1" in shown.text


def test_ctrl_c_stops_what_is_live(cli: CliWorld):
    """I11."""
    cli.script({"a": [{"hang": True, "say": "hanging now"}]})
    with screen(cli, *run_words(cli, cli.plan([task("a")]))) as shown:
        shown.wait_for("hanging now")
        shown.press("\x03")
        shown.wait_for("press again to stop at once")
        assert shown.end() == 130


def test_the_display_shows_what_programs_print_and_nothing_hostile(cli: CliWorld):
    hostile = "wide 漢字 \x1b]0;owned\x07\x1b[2Jtext\u202e end"
    cli.script({"a": [{"hang": True, "say": hostile}]})
    with screen(cli, *run_words(cli, cli.plan([task("a")])), columns=60) as shown:
        shown.wait_for("漢字")
        shown.press("\x03")
        assert shown.end() == 130
    assert "owned" not in shown.text
    assert "\x1b[2J" not in shown.text
    assert "\u202e" not in shown.text


def test_no_color(cli: CliWorld):
    with screen(cli, *run_words(cli, cli.plan([task("a")])), NO_COLOR="1") as shown:
        assert shown.end() == 0
    assert "\x1b[32m" not in shown.text
    with screen(cli, "status") as coloured:
        assert coloured.end() == 0
    assert "\x1b[32m" in coloured.text


def test_a_dumb_terminal_gets_plain_lines(cli: CliWorld):
    with screen(cli, *run_words(cli, cli.plan([task("a")])), TERM="dumb") as shown:
        assert shown.end() == 0
    assert "\x1b" not in shown.text
    assert "a     integrated" in shown.text


def test_a_plan_that_was_not_named_is_asked_about(cli: CliWorld):
    cli.plan([task("a")], path=cli.repo.path / "plan.json")
    words = ["run", "--agent-command", cli.agent, "--sandbox", "none"]
    with screen(cli, *words) as shown:
        shown.wait_for("[y/N]: ")
        shown.press("n\n")
        assert shown.end() == 1
    assert "Nothing was started." in shown.text
    assert "error" not in shown.text
    assert cli.call("runs", "--json").document == {"runs": []}
    with screen(cli, *words, "--yes") as shown:
        assert shown.end() == 0


def test_accept_asks(cli: CliWorld):
    """I1, I9."""
    cli.run(cli.plan([task("a")]), "--quiet")
    before = cli.repo.head()
    with screen(cli, "accept") as shown:
        shown.wait_for("[y/N]: ")
        shown.press("\n")
        assert shown.end() == 1
    assert "a.txt" in shown.text
    assert "Nothing was landed." in shown.text
    assert "error" not in shown.text
    assert cli.repo.head() == before
    with screen(cli, "accept") as shown:
        shown.wait_for("[y/N]: ")
        shown.press("y\n")
        assert shown.end() == 0
    assert cli.repo.head() == cli.repo.head("chargehand/todo-1")


def test_the_terminal_is_as_it_was(cli: CliWorld):
    cli.script({"a": [{"hang": True, "say": "hanging now"}]})
    with screen(cli, *run_words(cli, cli.plan([task("a")]))) as shown:
        shown.wait_for("hanging now")
        during = termios.tcgetattr(shown._terminal)[3] & termios.ECHO
        shown.press("\x03")
        shown.wait_for("at work")
        after = termios.tcgetattr(shown._terminal)[3] & termios.ECHO
        assert shown.end() == 130
    assert (during, bool(after)) == (0, True)
