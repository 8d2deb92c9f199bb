"""Notifications against real receivers: an HTTP server on the loopback, programs on a private PATH (SPEC 9)."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.notify import Channel, CommandChannel, Desktop, Fan, NotTold, Patience, TerminalBell, Webhook
from chargehand.domain.plan import EnvSpec
from chargehand.ports import Notice, NoticeKind
from chargehand.testing.contracts import NotifierContract
from chargehand.wiring.notifying import LOG_NAME, build_notifier, try_out
from chargehand.wiring.workshop import Workshop, open_workshop
from tests.e2e.cliworld import CliWorld, task
from tests.e2e.receivers import Answer, Receiver, receiver, self_signed
from tests.repos import Repo

NOTICE = Notice(
    run="r",
    kind=NoticeKind.DECISION,
    title="r asks d1",
    text="Why?",
    task="a",
    decision="d1",
    choices=("retry", "skip"),
)
HASTY = Patience(try_s=0.3, total_s=20, pause_s=0.01)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL_CERT_"):
            monkeypatch.delenv(name)


def told_why(webhook: Webhook) -> str:
    with pytest.raises(NotTold) as caught:
        asyncio.run(webhook.send(NOTICE))
    assert "s3cret" not in caught.value.text
    return caught.value.text


def program(folder: Path, name: str, body: str) -> Path:
    """A real program: a shell script on a private PATH."""
    folder.mkdir(exist_ok=True)
    made = folder / name
    made.write_text(f"#!/bin/sh\n{body}\n")
    made.chmod(0o755)
    return made


# -- webhook ----------------------------------------------------------------------------------------


def test_a_message_is_posted_as_json():
    with receiver() as server:
        asyncio.run(Webhook(server.url).send(NOTICE))
    ((method, path, headers, body),) = server.asked
    assert (method, path) == ("POST", "/services/T0/s3cret-path?key=s3cret-query")
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    document = json.loads(body)
    assert document["text"] == "r asks d1\nWhy?"
    assert document["chargehand"]["choices"] == ["retry", "skip"]


def test_what_may_heal_is_tried_again_with_growing_pauses():
    """I10: five tries; the same message each time, so that a receiver can tell."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    answers = [Answer(500), Answer(how="close"), Answer(503), Answer(429), Answer(200)]
    with receiver(*answers) as server:
        asyncio.run(Webhook(server.url, patience=Patience(pause_s=1), sleep=sleep).send(NOTICE))
        assert len(server.asked) == 5
        assert len({body["chargehand"]["id"] for body in server.bodies}) == 1
    for number, pause in enumerate(pauses):
        assert 0.5 * 2**number <= pause <= 1.5 * 2**number
    assert len(pauses) == 4


def test_a_receiver_that_says_when_is_asked_again_then():
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    with receiver(Answer(429, {"Retry-After": "7"}), Answer(503, {"Retry-After": "0"}), Answer(200)) as server:
        asyncio.run(Webhook(server.url, sleep=sleep).send(NOTICE))
    assert pauses == [7.0, 0.0]


def test_a_pause_of_an_hour_is_not_waited_for():
    """I10."""
    with receiver(Answer(429, {"Retry-After": "3600"})) as server:
        assert "answered 429 and asks to wait 3600 s" in told_why(Webhook(server.url))
        assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_another_refusal_is_final(status):
    with receiver(Answer(status, body=b"no_service\x1b[31m")) as server:
        assert f"127.0.0.1 answered {status} (no_service" in told_why(Webhook(server.url))
        assert len(server.asked) == 1


def test_an_answer_that_repeats_the_url_does_not_give_it_away():
    """7.3: error pages like to quote what was asked for."""
    body = b"unknown hook /services/T0/s3cret-path, key=s3cret-query"
    with receiver(Answer(404, body=body)) as server:
        assert "unknown hook [redacted], [redacted]" in told_why(Webhook(server.url))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status):
    """Neither to another host nor anywhere: a POST would arrive as a GET, without its message."""
    with receiver() as other, receiver(Answer(status, {"Location": other.url})) as server:
        assert f"answered {status}, a redirect" in told_why(Webhook(server.url))
        assert (len(server.asked), other.asked) == (1, [])


def test_failing_to_the_end_says_what_failed():
    with receiver(Answer(500)) as server:
        assert "127.0.0.1 answered 500 (ok)." in told_why(Webhook(server.url, patience=HASTY))
        assert len(server.asked) == 5
    assert "could not be reached: Connection refused." in told_why(Webhook(server.url, patience=HASTY))


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_a_receiver_that_does_not_answer_is_left(how):
    """I10: also one whose answer never ends, which the timeout of a socket does not see."""
    with receiver(Answer(how=how), Answer(how=how), Answer(200)) as server:
        asyncio.run(Webhook(server.url, patience=HASTY).send(NOTICE))
        assert len(server.asked) == 3


def test_all_tries_together_are_bounded():
    """I10: the time of one message, however patient a try is."""
    with receiver(Answer(how="hang")) as server:
        began = time.monotonic()
        assert "could not be reached" in told_why(Webhook(server.url, patience=Patience(try_s=20, total_s=0.3)))
        assert time.monotonic() - began < 5


def test_a_hanging_receiver_does_not_keep_the_run_from_ending(tmp_path):
    with receiver(Answer(how="hang")) as server:

        async def play() -> Fan:
            fan = Fan([Webhook(server.url)], close_s=0.3, log=tmp_path / "log")
            fan.notify(NOTICE)
            await fan.close()
            posting = [thread for thread in threading.enumerate() if thread.name == "notify.webhook"]
            assert posting  # it hangs still, and the end of the program does not wait for it
            assert all(thread.daemon for thread in posting)
            return fan

        began = time.monotonic()
        fan = asyncio.run(play())
        assert time.monotonic() - began < 5
        assert "1 of the messages had not gone out" in fan.problems[0]


def test_a_certificate_nobody_vouches_for_is_refused_at_once(tmp_path, monkeypatch):
    made = self_signed(tmp_path)
    if made is None:
        pytest.skip("There is no openssl to make a certificate.")
    context, certificate = made
    with receiver(tls=context) as server:
        url = server.url.replace("http:", "https:")
        assert "TLS failed (self-signed certificate)" in told_why(Webhook(url, patience=Patience(pause_s=60)))
        assert server.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        asyncio.run(Webhook(url).send(NOTICE))
        assert len(server.asked) == 1
        assert "TLS failed" in told_why(Webhook(url.replace("127.0.0.1", "localhost"), patience=HASTY))


def test_proxies_of_the_environment_are_honoured(monkeypatch):
    with receiver() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        asyncio.run(Webhook("http://hooks.invalid/s3cret").send(NOTICE))
        ((method, path, _, _),) = proxy.asked
        assert (method, path) == ("POST", "http://hooks.invalid/s3cret")
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        proxy.answers = [Answer(407)]
        with warnings.catch_warnings():  # http.client of Python 3.11.2 leaves the socket of a refused tunnel open
            warnings.simplefilter("ignore", ResourceWarning)
            text = told_why(Webhook("https://hooks.invalid/s3cret", patience=Patience(tries=1)))
            gc.collect()
        assert "Tunnel connection failed: 407" in text
        assert proxy.asked[1][:2] == ("CONNECT", "hooks.invalid:443")


def test_no_proxy_is_honoured(monkeypatch):
    with receiver() as proxy, receiver() as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        asyncio.run(Webhook(server.url).send(NOTICE))
        assert (len(server.asked), proxy.asked) == (1, [])


def test_a_url_that_is_none_is_told_without_it():
    assert "user name or a password" in told_why(Webhook("https://user:s3cret@h/"))


# -- command ----------------------------------------------------------------------------------------


def command(folder: Path, *argv: str, **more: Any) -> CommandChannel:
    env = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "OUT": str(folder / "out"), **more.pop("env", {})}
    return CommandChannel(argv=argv, cwd=folder, env=env, **more)


def test_a_command_gets_the_message_on_its_input_and_in_variables(tmp_path):
    program(
        tmp_path / "bin",
        "tell",
        'cat > "$OUT"; env | grep ^CHARGEHAND_ | grep -v MARKER > "$OUT.env"\n'
        'pwd > "$OUT.args"; printf "%s|" "$@" >> "$OUT.args"',
    )
    channel = command(tmp_path, "tell", "a b", "$HOME", ";ls")
    assert channel.missing() == ""
    asyncio.run(channel.send(NOTICE))
    assert json.loads((tmp_path / "out").read_text()) == {
        "run": "r",
        "kind": "decision",
        "title": "r asks d1",
        "text": "Why?",
        "task": "a",
        "decision": "d1",
        "choices": ["retry", "skip"],
        "command": None,
    }
    assert sorted((tmp_path / "out.env").read_text().splitlines()) == [
        "CHARGEHAND_DECISION=d1",
        "CHARGEHAND_NOTICE=decision",
        "CHARGEHAND_RUN=r",
        "CHARGEHAND_TASK=a",
        "CHARGEHAND_TITLE=r asks d1",
    ]
    assert (tmp_path / "out.args").read_text() == f"{tmp_path}\na b|$HOME|;ls|"


def test_a_relative_program_counts_from_where_chargehand_was_started(tmp_path):
    program(tmp_path / "tools", "tell", 'echo told > "$OUT"')
    channel = command(tmp_path, "./tools/tell")
    assert channel.missing() == ""
    asyncio.run(channel.send(NOTICE))
    assert (tmp_path / "out").read_text() == "told\n"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo sorry >&2; exit 3", "tell ended with exit code 3. It printed: sorry"),
        ("kill -9 $$", "tell ended with signal 9."),
        ("sleep 600 & sleep 600", "tell did not end within 0.5 s."),
    ],
)
def test_a_command_that_fails_says_how(tmp_path, body, said):
    """I10 and I11: also one that does not end; nothing it started stays."""
    program(tmp_path / "bin", "tell", body)
    began = time.monotonic()
    with pytest.raises(NotTold) as caught:
        asyncio.run(command(tmp_path, "tell", wall_s=0.5).send(NOTICE))
    assert caught.value.text == said
    assert time.monotonic() - began < 10


def test_a_command_that_is_not_there(tmp_path):
    channel = command(tmp_path, "no-such-program")
    assert "no-such-program was not found" in channel.missing()
    with pytest.raises(NotTold, match="could not be started"):
        asyncio.run(channel.send(NOTICE))


def test_when_the_run_is_left_the_command_is_ended(tmp_path):
    """I11: with everything it started."""
    os.mkfifo(tmp_path / "alive")
    program(tmp_path / "bin", "tell", 'sleep 600 & echo $! > "$OUT/alive"; wait')

    async def play() -> Fan:
        fan = Fan([command(tmp_path, "tell", env={"OUT": str(tmp_path)})], close_s=0.1)
        fan.notify(NOTICE)
        child = int(await asyncio.to_thread((tmp_path / "alive").read_text))
        await fan.close()
        assert not Path(f"/proc/{child}").exists()
        return fan

    assert "had not gone out" in asyncio.run(play()).problems[0]


# -- desktop ----------------------------------------------------------------------------------------


def desktop(folder: Path, body: str, name: str = "notify-send", platform: str = "linux", **more: Any) -> Desktop:
    program(folder / "bin", name, body)
    env = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "OUT": str(folder / "out"), "DISPLAY": ":7"}
    return Desktop(env=env, platform=platform, **more)


RECORD = 'printf "%s\\n" "$@" > "$OUT"'


def test_notify_send_gets_texts_that_are_no_options_and_no_markup(tmp_path):
    """7.4: the body of a notification is markup, and backslashes in it are resolved."""
    notice = Notice(run="r", kind=NoticeKind.TEST, title="--hint=<b>", text="<a href='x'> & \\n")
    asyncio.run(desktop(tmp_path, RECORD).send(notice))
    assert (tmp_path / "out").read_text().splitlines() == ["--", "--hint=<b>", "&lt;a href='x'&gt; &amp; \\\\n"]


def test_osascript_gets_texts_as_arguments(tmp_path):
    """7.4: never as part of the script; an argument of ours stands before one that could be an option."""
    notice = Notice(run="r", kind=NoticeKind.TEST, title="-e", text='" & do shell script "id')
    asyncio.run(desktop(tmp_path, RECORD, "osascript", "darwin").send(notice))
    words = (tmp_path / "out").read_text().splitlines()
    assert words[-3:] == ["chargehand", "-e", '" & do shell script "id']
    assert words[:-3:2] == ["-e", "-e", "-e"]
    assert not any("shell" in word for word in words[:-3])


def test_a_desktop_that_fails_or_hangs_says_so(tmp_path):
    """I10."""
    with pytest.raises(NotTold, match="notify-send ended with exit code 1: no bus"):
        asyncio.run(desktop(tmp_path, "echo no bus >&2; exit 1").send(NOTICE))
    with pytest.raises(NotTold, match=r"did not end within 0\.3 s"):
        asyncio.run(desktop(tmp_path, "sleep 600", wall_s=0.3).send(NOTICE))


# -- as the settings name them ----------------------------------------------------------------------


def shop(repo: Repo, **environ: str) -> Workshop:
    env: Mapping[str, str] = {**repo.environ, "XDG_STATE_HOME": str(repo.path.parent / "state"), **environ}
    opening = open_workshop(repo=repo.path, state_dir=None, sets=(), flags={}, env=env)
    return asyncio.run(opening)


def everything(repo: Repo, server: Receiver, **environ: str) -> Workshop:
    """Every channel, each with a real receiver but the bell, which has no terminal."""
    folder = repo.path.parent
    for name, body in (("tell", 'cat >> "$OUT.command"'), ("notify-send", 'echo "$2" >> "$OUT.desktop"')):
        program(folder / "bin", name, body)
    return shop(
        repo,
        PATH=f"{folder / 'bin'}:{os.environ['PATH']}",
        OUT=str(folder / "out"),
        DISPLAY=":7",
        CHARGEHAND_NOTIFY_BELL="true",
        CHARGEHAND_NOTIFY_DESKTOP="true",
        CHARGEHAND_NOTIFY_WEBHOOK="env:HOOK",
        HOOK=server.url,
        CHARGEHAND_NOTIFY_COMMAND="tell",
        **environ,
    )


def test_every_way_that_is_set_is_used_and_no_secret_goes_with_it(repo):
    """7.3: neither a variable that agents do not get, nor one of the plan, nor the URL itself."""
    secrets = ("hunter2-hunter2", "s3cret-plan-value")
    with receiver() as server:
        made = everything(repo, server, MY_TOKEN=secrets[0])

        async def play() -> None:
            fan = build_notifier(made, EnvSpec(values=(("DB_PASSWORD", secrets[1]),)), repo.path.parent)
            fan.notify(
                Notice(run="r", kind=NoticeKind.FAILED, title="r is failed", text=" ".join((*secrets, server.url)))
            )
            await fan.close()
            assert fan.problems == ()

        asyncio.run(play())
        (posted,) = server.bodies
    out = repo.path.parent
    assert json.loads((out / "out.command").read_text())["kind"] == "failed"
    assert (out / "out.desktop").read_text() == "r is failed\n"
    told = json.dumps(posted) + (out / "out.command").read_text()
    assert posted["chargehand"]["text"] == "[redacted] [redacted] [redacted]"
    assert not any(secret in told for secret in (*secrets, "s3cret"))
    assert not (out / LOG_NAME).exists()


def test_without_settings_nobody_is_told(repo):
    made = shop(repo)
    assert asyncio.run(try_out(made)) == []


def tried(made: Any) -> list[tuple[str, bool, str]]:
    return [(each.name, each.ok, each.text) for each in asyncio.run(try_out(made))]


def test_trying_out_sends_one_message_each_and_says_what_failed(repo):
    with receiver(Answer(200), Answer(403, body=b"invalid_token")) as server:
        made = everything(repo, server)
        first = tried(made)
        program(repo.path.parent / "bin", "tell", "exit 5")
        (repo.path.parent / "bin" / "notify-send").unlink()
        second = tried(made)
        assert [body["chargehand"]["kind"] for body in server.bodies] == ["test", "test"]
    went = "A test message went out."
    assert first[1:] == [("notify.desktop", True, went), ("notify.webhook", True, went), ("notify.command", True, went)]
    assert first[0] == ("notify.bell", False, "Standard error is not a terminal.")
    assert second[1:] == [
        ("notify.desktop", False, "There is no notify-send on PATH."),
        ("notify.webhook", False, "127.0.0.1 answered 403 (invalid_token)."),
        ("notify.command", False, "tell ended with exit code 5."),
    ]


def test_a_receiver_that_fails_is_not_blamed_on_the_setting(repo):
    with receiver(Answer(500)) as server:
        found = {each.name: each for each in asyncio.run(try_out(everything(repo, server)))}
    webhook = found["notify.webhook"]
    assert (webhook.ok, webhook.text.startswith("127.0.0.1 answered 500")) == (False, True)
    assert "look at the receiver" in webhook.hint
    assert "chargehand.toml" in found["notify.bell"].hint
    assert found["notify.command"].hint == ""


def test_a_whole_run_tells_of_its_question_and_its_rest(repo, tmp_path):
    """9: the question goes out even though the program ends at once, and again when the run is taken up."""
    cli = CliWorld(repo, tmp_path / "cli")
    program(tmp_path / "bin", "tell", 'cat >> "$OUT"; echo >> "$OUT"; exit 1')
    with receiver() as server:
        cli.environ |= {
            "PATH": f"{tmp_path / 'bin'}:{cli.environ['PATH']}",
            "OUT": str(tmp_path / "told"),
            "CHARGEHAND_NOTIFY_COMMAND": "tell",
            "CHARGEHAND_NOTIFY_WEBHOOK": server.url,
        }
        done = cli.run(cli.plan([task("model", needs_human=True)]), "--run-id", "r1", "--json")
        assert (done.code, done.document["state"]) == (4, "waiting")
        first = [body["chargehand"] for body in server.bodies]
        assert cli.call("resume", "r1", "--json").code == 4
        again = [body["chargehand"] for body in server.bodies[len(first) :]]
    assert first[0]["kind"] == "decision"
    assert (first[0]["decision"], first[0]["task"], first[0]["choices"]) == ("d1", "model", ["approve", "reject"])
    assert "chargehand answer d1 CHOICE --run r1" in first[0]["text"]
    assert again[0] == {**first[0], "id": again[0]["id"]}
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert told == [{name: value for name, value in one.items() if name != "id"} for one in (*first, *again)]
    (log,) = (repo.path / ".git/chargehand/runs/r1").glob(LOG_NAME)
    assert "notify.command: tell ended with exit code 1." in log.read_text()
    everything_said = done.stdout + done.stderr + log.read_text() + cli.call("log", "r1").stdout
    assert "s3cret" not in everything_said + cli.call("config", "--json").stdout


# -- the contract -----------------------------------------------------------------------------------


class TestSilentFan(NotifierContract):
    @pytest.fixture
    def notifier(self):
        return Fan([])


class TestFanOnRealReceivers(NotifierContract):
    @pytest.fixture
    def notifier(self, tmp_path: Path) -> Iterator[Fan]:
        program(tmp_path / "bin", "tell", "cat > /dev/null")
        with receiver() as server:
            yield Fan(
                [TerminalBell(), desktop(tmp_path, "exit 0"), Webhook(server.url), command(tmp_path, "tell")],
                log=tmp_path / LOG_NAME,
            )


class TestFanWhereEverythingFails(NotifierContract):
    @pytest.fixture
    def notifier(self, tmp_path: Path) -> Iterator[Fan]:
        with receiver(Answer(how="hang")) as server:
            channels: list[Channel] = [
                desktop(tmp_path, "exit 1"),
                Webhook(server.url),
                Webhook("http://127.0.0.1:1/"),
                Webhook("no url"),
                command(tmp_path, "no-such-program"),
            ]
            yield Fan(channels, log=tmp_path / "no" / "folder" / LOG_NAME, close_s=0.2)
