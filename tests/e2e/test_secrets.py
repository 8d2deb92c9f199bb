"""No byte of a secret in anything that is written or printed: whole runs with programs that give away all they can.

The workspace, and the commits of the agent, are the agent's own; everything else is searched (SPEC 7.3).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.process import ProcessSpec, start
from chargehand.domain.events import AttemptFinished
from chargehand.domain.secrecy import Vault
from tests.e2e.processes import PATH
from tests.e2e.world import World
from tests.repos import Repo

CANARIES = {
    "DEPLOY_TOKEN": "canary-token-5f1d77ac02",
    "QUOTED_SECRET": 'canary "quoted" \\ & 100% ünïcode',
    "LINES_KEY": "canary-first-line-0123456789\ncanary-second-line-0123456789",
    "DATABASE": "postgres://app:canary-in-a-url-81@db/app",
    "ODDITY": "canary-by-reference-only-3c",
    "NOT_PASSED_PASSWORD": "canary-never-passed-on-7e",
}
VAULT = Vault([*(value for name, value in CANARIES.items() if name != "DATABASE"), "canary-in-a-url-81"])

TELL = """\
import base64, json, os, subprocess, sys, time, urllib.parse
told = json.load(open(sys.argv[1]))
def forms(value):
    data = value.encode()
    yield value
    yield json.dumps(value)
    yield urllib.parse.quote(value, safe="")
    yield base64.b64encode(data).decode()
    yield base64.urlsafe_b64encode(b"me:" + data + b"!").decode()
    yield data.hex()
    yield "".join(char + "\\x1b[0m" for char in value)
ALL = [form for value in told.values() for form in forms(value)]
def tell(file):
    for form in ALL:
        data = f"<{form}>\\n".encode()
        for at in range(0, len(data), 7):
            os.write(file, data[at : at + 7])
tell(1)
tell(2)
one = told["DEPLOY_TOKEN"]
"""


@dataclass
class Leaky(World):
    """A world whose programs know every secret: they find them in a file; Chargehand has them in its environment."""

    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, **CANARIES, **self.extra}

    def script(self, name: str, body: str) -> str:
        """A program that tells everything and goes on with `body`; its command line."""
        (self.folder / "told.json").write_text(json.dumps(CANARIES), encoding="utf-8")
        file = self.folder / f"{name}.py"
        file.write_text(TELL + textwrap.dedent(body), encoding="utf-8")
        return f"{sys.executable} {file} {self.folder / 'told.json'}"

    def written(self) -> dict[str, bytes]:
        """Everything Chargehand wrote outside the workspaces, and the messages it sent."""
        state = self.repo.path / ".git" / "chargehand"
        files = [file for file in state.rglob("*") if file.is_file()]
        files += [file for file in self.folder.glob("notices*") if file.is_file()]
        return {str(file.relative_to(self.folder.parent)): file.read_bytes() for file in files}

    def command(self, *words: str) -> bytes:
        """What a command prints, on both streams."""
        argv = [sys.executable, "-m", "chargehand", *words]
        done = subprocess.run(
            argv,
            cwd=self.repo.path,
            env=self.environ,
            capture_output=True,
            check=False,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode != 3, done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> Leaky:
    return Leaky(repo=repo, folder=tmp_path)


def leaks(found: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    return [(name, form) for name, data in found.items() for form in VAULT.forms if form in data]


def leaks_of(found: Mapping[str, bytes], *names: str) -> list[tuple[str, bytes]]:
    forms = Vault([CANARIES[name] for name in names]).forms
    return [(name, form) for name, data in found.items() for form in forms if form in data]


AGENT = """
task, attempt = os.environ["CHARGEHAND_TASK"], int(os.environ["CHARGEHAND_ATTEMPT"])
git = lambda *words: subprocess.run(["git", *words], check=True, stdout=2)
def report(status, **more):
    json.dump({"status": status, **more}, open(os.environ["CHARGEHAND_RESULT"], "w"))
everything = {
    "summary": "\\n".join(ALL), "coverage": one, "validation": {"said": one}, "interfaces": ALL, "decisions": ALL,
    "deviations": ALL, "tests_added": [one], "tests_modified": [one], "files_changed": [one], "missing_context": [one],
    "concerns": [{"kind": "info", "text": form, one: one} for form in ALL], one: ALL, "deep": {one: [one, {one: one}]},
}
if task in ("good", "red", "commits", "names"):
    open(f"{task}.txt", "w").write(f"attempt {attempt}\\n")
if task == "commits":
    open("commits.txt", "w").write(f"one\\ntwo\\n{told['NOT_PASSED_PASSWORD']}\\n")
    git("add", "-A")
    git("commit", "-qm", f"work with {told['ODDITY']}")
if task == "names":
    open(f"names-{one}.txt", "w").write("nothing\\n")
if task == "crash":
    sys.exit(one)
if task == "blocked":
    report("BLOCKED", blocker={"kind": "external", "text": one, "url": one}, **everything)
elif task == "kind":
    report(one)
elif task == "claims":
    report("DONE", **everything | {"commit": told["ODDITY"]})
elif task == "failed":
    report("FAILED", **everything)
else:
    report("DONE", **everything)
"""
GATE = """
open(os.environ["CHARGEHAND_JUNIT"], "w").write(
    f'<testsuite><testcase classname="t" name="{one}"><failure message="{one}">{one}</failure></testcase></testsuite>'
)
sys.exit("red.txt" in os.listdir("."))
"""


def play(world: Leaky, sets: list[str]) -> None:
    names = ("good", "red", "commits", "names", "crash", "blocked", "kind", "claims", "failed")
    tasks = [
        {"id": name, "title": name, "files": {"create": [f"{name}.txt"]}, "allow_empty": True, "verify": [["true"]]}
        for name in names
    ]
    gate = {"id": "tells", "run": world.script("gate", GATE).split(), "on": ["task"], "junit": True}
    world.play(
        tasks,
        {},
        sets=[*sets, "agent=leaky", "jobs=2"],
        unattended=False,
        gates=[gate],
        env={"pass": ["DEPLOY_TOKEN", "QUOTED_SECRET", "LINES_KEY", "DATABASE"]},
        setup={"run": world.script("setup", "").split()},
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_written_or_printed_holds_a_secret(world: Leaky):
    """The journal is searched as bytes, and every command that shows a run is called."""
    notices = ["sh", "-c", f"env | grep ^CHARGEHAND_ > {world.folder}/notices.$$; cat >> {world.folder}/notices.$$"]
    sets = [
        "agents.leaky.kind=command",
        f"agents.leaky.command={world.script('agent', AGENT)}",
        "agents.leaky.key=env:ODDITY",
        f"notify.command={json.dumps(notices)}",
    ]
    play(world, sets)
    assert world.document["state"] == "waiting"
    asked = {word: world.command(word, world.run, "--json") for word in ("status", "decisions")}
    assert leaks(world.written() | asked) == []
    world.resume(unattended=True)
    outcomes = {task["id"]: task["reason"] for task in world.document["tasks"]}
    assert outcomes["good"] == "integrated"
    assert outcomes["commits"] == "secret_added"
    assert outcomes["names"] == "secret_added"
    assert {event.result.sealed.secrets for event in attempts(world, "names")} != {()}
    found = world.written()
    assert any(name.endswith("journal.db") for name in found)
    assert any("stdout.log" in name for name in found)
    assert any("gates/" in name for name in found)
    assert any("previous.patch" in name for name in found)
    assert any("notices" in name for name in found)
    assert leaks(found) == []
    assert leaks(printed(world)) == []
    assert "[redacted]" in found[next(name for name in found if name.endswith("good/1/stdout.log"))].decode()
    log = world.repo.git("log", "-p", world.document["branch"]).encode()
    assert leaks({"the branch": log}) == []


def attempts(world: Leaky, task: str) -> list[Any]:
    return [event for event in world.events() if isinstance(event, AttemptFinished) and event.task == task]


def printed(world: Leaky) -> dict[str, bytes]:
    run = world.run
    calls = [
        *(["status", run], ["status", run, "--json"], ["log", run], ["log", run, "--json"], ["decisions", run]),
        *(["runs", "--json"], ["config"], ["config", "--json"], ["doctor", run], ["why", "commits", "--run", run]),
        *(
            ["show", task, "--run", run, f"--{part}"]
            for task in ("good", "commits", "red")
            for part in ("log", "brief")
        ),
        *(["show", "good", "--run", run, "--json"], ["rescue", "list"]),
    ]
    return {" ".join(call): world.command(*call) for call in calls}


SHOW = """\
import os, signal
data = os.environ["DEPLOY_TOKEN"].encode()
os.write(1, b"<" + data[:9])
os.write(1, data[9:] + b">")
os.write(1, b"\\nthe end\\n")
signal.pause()
"""


def test_a_program_that_still_runs_has_no_secret_in_its_log(tmp_path: Path):
    """What is killed at any moment leaves none behind: the file never held one."""

    async def look() -> tuple[bytes, str]:
        heard, told = asyncio.Event(), bytearray()

        def tap(data: bytes) -> None:
            told.extend(data)
            if b"the end" in told:
                heard.set()

        spec = ProcessSpec(
            argv=(sys.executable, "-c", SHOW),
            cwd=tmp_path,
            env={"PATH": PATH, "DEPLOY_TOKEN": CANARIES["DEPLOY_TOKEN"]},
            stdout=tmp_path / "log",
            wall_s=60.0,
            tap=tap,
            vault=Vault([CANARIES["DEPLOY_TOKEN"]]),
        )
        running = await start(spec)
        await heard.wait()
        found = (tmp_path / "log").read_bytes(), running.last_line
        await running.stop(now=True)
        assert CANARIES["DEPLOY_TOKEN"].encode() in told
        return found

    assert asyncio.run(look()) == (b"<[redacted]>\nthe end\n", "the end")


def test_files_that_git_ignores_never_get_into_a_workspace(world: Leaky):
    """Neither the agent nor a gate finds a `.env` of the user's."""
    world.repo.write(".gitignore", ".env*\nsecrets/\n")
    world.repo.commit("ignore secrets")
    world.repo.write(".env", "DEPLOY_TOKEN=x\n")
    world.repo.write(".env.local", "x\n")
    world.repo.write("secrets/key.pem", "x\n")
    look = "find . -name '.env*' -o -name secrets | grep . && exit 1"
    task = {"id": "a", "title": "A", "files": {"create": ["a.txt"]}, "verify": [f"{look} || true; test ! -e .env"]}
    world.play_command([task], f'sh -c "({look}) || echo fine > a.txt"')
    assert world.outcome() == ("integrated", "integrated")
    assert world.landed("a.txt") == "fine"


def test_the_next_attempt_is_told_where_the_secret_was_and_can_do_without(world: Leaky):
    token = "glpat-" + "Rt5" * 7
    steps = {
        "attempts": {
            1: [
                {"write": {"path": "a.txt", "text": f"x\nkey: {token}\n"}},
                {"print": token},
                {"report": {"status": "DONE"}},
            ],
            2: [
                {"read_brief_check": ["a.txt:2: GitLab Token", "environment"]},
                {"write": {"path": "a.txt", "text": "x\n"}},
                {"report": {"status": "DONE"}},
            ],
        }
    }
    world.play([{"id": "a", "title": "A", "files": {"create": ["a.txt"]}}], {"a": steps})
    assert world.outcome() == ("integrated", "integrated")
    assert world.task()["attempts"] == 2
    held = {name: data for name, data in world.written().items() if token.encode() in data}
    assert held == {}
    shown = world.command("show", "a", "--run", world.run, "--diff", "-n", "1")
    assert b"+key: [redacted]" in shown


def test_a_setup_that_fails_and_a_program_that_is_missing_tell_none(world: Leaky):
    """Then there is no attempt, and what is said of it goes into the journal as an error."""
    failing = world.script("setup", "sys.exit(3)").split()
    sets = [
        "agents.leaky.kind=command",
        f"agents.leaky.command={world.script('agent', AGENT)}",
        "agents.leaky.key=env:ODDITY",
        "agent=leaky",
    ]
    task = {"id": "good", "title": "good", "files": {"create": ["good.txt"]}}
    world.play([task], {}, sets=sets, setup={"run": failing}, env={"pass": ["DEPLOY_TOKEN"]})
    assert world.document["state"] == "failed"
    found = world.written()
    assert any("setup.log" in name for name in found)
    assert leaks(found) == []
    assert leaks({"status": world.command("status", world.run, "--json")}) == []


def test_a_run_in_the_background_and_what_people_write_hold_none(world: Leaky):
    """`driver.log` is written by the same hand; a note is told to an agent, so it stands in journal and brief."""
    plan = world.folder / "plan.json"
    task = {"id": "red", "title": "red", "files": {"create": ["red.txt"]}, "verify": [["false"]]}
    plan.write_text(json.dumps({"chargehand": 1, "plan": "test", "tasks": [task]}), encoding="utf-8")
    command = world.script("agent", AGENT)
    words = ["--agent-command", command, "--sandbox", "none", "--unattended", "--detach"]
    said = world.command("run", str(plan), *words) + world.command("log", "--follow")
    said += world.command("retry", "red", "--note", f"Use {CANARIES['DEPLOY_TOKEN']}.")
    said += world.command("log", "--json")
    found = world.written()
    assert any(name.endswith("driver.log") for name in found)
    assert leaks_of({**found, "said": said}, "DEPLOY_TOKEN", "QUOTED_SECRET", "LINES_KEY", "NOT_PASSED_PASSWORD") == []
    assert leaks_of(found, "ODDITY") != []  # nobody said of this one that it is a secret: what is proved is seen
