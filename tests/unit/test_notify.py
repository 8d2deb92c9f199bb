"""Messages made fit to leave the machine, and the fan that sends them by every channel (SPEC 7.3, 7.4, 9)."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime
from typing import Any

import pytest

from chargehand.adapters.notify import Fan, NotTold, TerminalBell, fit
from chargehand.adapters.notify.desktop import Desktop
from chargehand.adapters.notify.webhook import payload, retry_after_s, wrong_url
from chargehand.ports import Notice, NoticeKind

SECRET = "hunter2-hunter2"


def a_notice(title: str = "r asks d1", **more: Any) -> Notice:
    return Notice(run="r", kind=NoticeKind.DECISION, title=title, **more)


class Recorder:
    """A channel that keeps what it sends; while `held` it waits, and it fails with what stands in `errors`."""

    def __init__(self, *errors: Exception) -> None:
        self.sent: list[str] = []
        self.errors = list(errors)
        self.held = asyncio.Event()
        self.held.set()
        self.cancelled = 0

    @property
    def name(self) -> str:
        return "recorder"

    def missing(self) -> str:
        return ""

    async def send(self, notice: Notice) -> None:
        try:
            await self.held.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(notice.title)


# -- messages ---------------------------------------------------------------------------------------


def test_nothing_that_steers_a_terminal_and_nothing_secret_is_sent():
    """7.3 and 7.4, also where a sequence hides in the secret, and where a cut would leave a part of it."""
    hidden = SECRET[:4] + "\x1b[1m" + SECRET[4:]
    bad = f"\x1b]0;title\x07{SECRET} {hidden}\r\u202e"
    notice = Notice(
        run=bad,
        kind=NoticeKind.DECISION,
        title=f"one\ntwo {bad}",
        text="x" * 2995 + SECRET + bad,
        task=bad,
        decision=bad,
        choices=(bad,),
        command=bad,
    )
    ready = fit(notice, (SECRET,))
    for text in (ready.run, ready.title, ready.text, ready.task, ready.decision, *ready.choices, ready.command):
        assert not set(text) & set("\x1b\x07\r\u202e")
        assert SECRET[:6] not in text
    assert ready.title == "one two [redacted] [redacted]"
    assert "\n" not in ready.run


def test_a_message_is_bounded():
    """I10: whatever a plan or an agent wrote into it."""
    long = "x" * 100_000
    ready = fit(a_notice(long, text=long, task=long, choices=(long,) * 1000, command=long), ())
    assert (len(ready.title), len(ready.text), len(ready.task), len(ready.command)) == (200, 3000, 200, 3000)
    assert len(ready.choices) == 20
    assert ready.text.endswith("…")


def test_what_is_posted_is_text_for_slack_and_the_rest_under_one_key():
    """The three characters that Slack takes for markup are escaped: nobody is called by a task's name."""
    notice = a_notice("<!channel> & co", text="2 > 1", task="a", decision="d1", choices=("retry",))
    posted = payload(notice, "id")
    assert posted["text"] == "&lt;!channel&gt; &amp; co\n2 &gt; 1"
    assert (posted["mrkdwn"], posted["unfurl_links"]) == (False, False)
    assert posted["chargehand"] == {
        "id": "id",
        "run": "r",
        "kind": "decision",
        "title": "<!channel> & co",
        "text": "2 > 1",
        "task": "a",
        "decision": "d1",
        "choices": ["retry"],
        "command": None,
    }
    assert payload(a_notice(""), "id")["text"] == "decision"  # Slack refuses a message without text


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("soon", None),
        ("-3", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("9" * 500, 999_999_999.0),
        ("Fri, 20 Nov 2026 10:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 10:00:30 -0000", 30.0),
        ("Fri, 20 Nov 2026 09:00:00 GMT", 0.0),
    ],
)
def test_how_long_a_receiver_asks_to_wait(header, seconds):
    assert retry_after_s(header, datetime(2026, 11, 20, 10, tzinfo=UTC)) == seconds


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "file:///etc/passwd",
        "ftp://h/x",
        "https://",
        "https:///path",
        "https://user:s3cret@h/x",
        "https://h:port/x",
        "https://h/a b",
        "https://h/a\nb",
        "https://h/ü",
        "https://[::1/x",
    ],
)
def test_a_url_that_nothing_is_posted_to(url):
    """The reason never quotes it."""
    assert wrong_url(url)
    assert "s3cret" not in wrong_url(url)
    assert wrong_url("https://hooks.example.org/services/T/B/x") == wrong_url("http://127.0.0.1:8080/") == ""


# -- the fan ----------------------------------------------------------------------------------------


def test_every_channel_gets_every_message_in_order():
    first, second = Recorder(), Recorder()

    async def play() -> None:
        fan = Fan([first, second])
        for number in range(5):
            fan.notify(a_notice(str(number)))
        await fan.close()
        fan.notify(a_notice("later"))
        await fan.close()
        assert fan.problems == ()

    asyncio.run(play())
    assert first.sent == second.sent == ["0", "1", "2", "3", "4", "later"]


def test_a_slow_channel_holds_up_neither_the_run_nor_the_others():
    async def play() -> None:
        slow, quick = Recorder(), Recorder()
        slow.held.clear()
        fan = Fan([slow, quick], close_s=0.05)
        fan.notify(a_notice("1"))
        fan.notify(a_notice("2"))
        await fan.close()
        assert (quick.sent, slow.sent, slow.cancelled) == (["1", "2"], [], 1)
        assert fan.problems == ("notify.recorder: 2 of the messages had not gone out when the run was left.",)
        slow.held.set()
        fan.notify(a_notice("3"))
        await fan.close()
        assert slow.sent == ["3"]

    asyncio.run(play())


def test_what_fails_is_told_once_and_logged_each_time(tmp_path):
    """A dead receiver of a run with many questions fills neither the screen nor the disk; no secret gets there."""
    log = tmp_path / "notify.log"
    errors = [
        NotTold("gone", f"\x1b[31mIt is gone {SECRET}.\nReally."),
        NotTold("gone", "It is gone again."),
        OSError("no"),
    ]

    async def play() -> None:
        channel = Recorder(*errors)
        fan = Fan([channel], secrets=(SECRET,), log=log)
        for number in range(4):
            fan.notify(a_notice(str(number)))
        await fan.close()
        assert channel.sent == ["3"]
        assert fan.problems == (
            "notify.recorder: It is gone [redacted]. Really.",
            "notify.recorder: OSError: no",
        )

    asyncio.run(play())
    lines = log.read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "notify.recorder: It is gone [redacted]. Really.",
        "notify.recorder: It is gone again.",
        "notify.recorder: OSError: no",
    ]


def test_a_log_that_cannot_be_written_or_is_full_fails_nothing(tmp_path):
    full = tmp_path / "full.log"
    full.write_bytes(b"x" * 256 * 1024)

    async def play() -> None:
        for log in (tmp_path / "no" / "such" / "folder", full):
            fan = Fan([Recorder(NotTold("a", "It is gone."))], log=log)
            fan.notify(a_notice())
            await fan.close()
            assert fan.problems == ("notify.recorder: It is gone.",)

    asyncio.run(play())
    assert full.stat().st_size == 256 * 1024


def test_a_flood_is_cut_off():
    """I10."""

    async def play() -> None:
        channel = Recorder()
        channel.held.clear()
        fan = Fan([channel])
        for number in range(300):
            fan.notify(a_notice(str(number)))
        channel.held.set()
        await fan.close()
        assert channel.sent == [str(number) for number in range(100)]
        assert len(fan.problems) == 1
        assert "left out" in fan.problems[0]

    asyncio.run(play())


# -- bell and desktop -------------------------------------------------------------------------------


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return not self.closed


def test_the_bell_rings_only_on_a_terminal():
    screen, pipe, gone = Screen(), io.StringIO(), Screen()
    gone.close()
    for stream in (screen, pipe, gone):
        asyncio.run(TerminalBell(screen=stream).send(a_notice()))
    assert (screen.getvalue(), pipe.getvalue()) == ("\a", "")
    assert TerminalBell(screen=screen).missing() == ""
    assert "terminal" in TerminalBell(screen=pipe).missing()


def test_the_desktop_says_why_it_is_silent(tmp_path):
    assert Desktop(env={"PATH": str(tmp_path)}, platform="linux").missing() == "There is no notify-send on PATH."
    assert Desktop(env={"PATH": str(tmp_path)}, platform="darwin").missing() == "There is no osascript on PATH."
    program = tmp_path / "notify-send"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    here = Desktop(env={"PATH": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}, platform="linux")
    assert here.missing() == "There is no desktop session."
    asyncio.run(here.send(a_notice()))  # silent: the program would have failed
    (tmp_path / "bus").touch()
    assert here.missing() == ""
