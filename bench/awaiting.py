"""Four agents that wait for a model which does not answer: what that costs the process that drives them."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

from bench.ours import Place, cpu_s, rss_mb, tree_of
from bench.work import levels

__all__ = ["Waited", "wait_for_a_model"]

AGENTS = 4
SOON_S = 60.0

# Tells what Claude Code tells first, asks its model, and waits.
_AGENT = """\
import json, os, sys, urllib.request
sys.stdin.read()
print(json.dumps({"type": "system", "subtype": "init", "session_id": "s", "model": "bench"}), flush=True)
body = json.dumps({"model": "bench", "stream": True, "messages": [{"role": "user", "content": "Go."}]}).encode()
head = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "content-type": "application/json"}
url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages"
urllib.request.urlopen(urllib.request.Request(url, body, head)).read()
"""


@dataclass(frozen=True, kw_only=True)
class Waited:
    """Of `agents` that waited `wall_s`: CPU seconds of the coordinator, and of launchers and relays; its memory."""

    agents: int
    wall_s: float
    own_cpu_s: float
    helpers_cpu_s: float
    own_mb: float


class _Model:
    """Takes every request and never answers."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.taken: list[socket.socket] = []
        Thread(target=self._take, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def _take(self) -> None:
        while True:
            try:
                self.taken.append(self._listener.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        for one in (self._listener, *self.taken):
            one.close()


@contextmanager
def _model() -> Iterator[_Model]:
    made = _Model()
    try:
        yield made
    finally:
        made.close()


def wait_for_a_model(place: Place, watch_s: float, *, network: str) -> Waited:
    """Start them, wait until all have asked, and watch for so long; `network` is `open` or `meter`."""
    script = place.folder / "agent.py"
    script.write_text(_AGENT)
    with _model() as model:
        settings = {
            "agent": "bench",
            "agents.bench.kind": "claude",
            "agents.bench.command": shlex.join([sys.executable, "-I", "-S", str(script)]),
            "agents.bench.key": "env:BENCH_PROVIDER",
            "agents.bench.base_url": model.url,
            "sandbox.network": network,
        }
        argv = place.argv(levels((AGENTS,)), sleep_s=0, gate=False, jobs=AGENTS)
        at = argv.index("--agent-command")
        argv[at : at + 2] = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        env = {**place.env, "BENCH_PROVIDER": "a-key-of-the-bench"}
        pipe = subprocess.PIPE
        process = subprocess.Popen(argv, env=env, cwd=place.folder, stdout=pipe, stderr=pipe)
        try:
            _until_asked(process, model)
            return _watched(process.pid, watch_s)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()


def _until_asked(process: subprocess.Popen[bytes], model: _Model) -> None:
    deadline = time.monotonic() + SOON_S
    while len(model.taken) < AGENTS:
        if process.poll() is not None or time.monotonic() > deadline:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate()
            raise SystemExit(f"{len(model.taken)} agents asked, not {AGENTS}:\n{(out + err).decode()[-4000:]}")
        time.sleep(0.1)
    time.sleep(2)  # what comes with a start is over


def _watched(pid: int, watch_s: float) -> Waited:
    tree = tree_of(pid)
    agents = [
        one for one, line in tree.items() if "agent.py" in line and "bwrap" not in line and "relay.py" not in line
    ]
    helpers = [one for one, line in tree.items() if one != pid and one not in agents]
    before = {one: cpu_s(one) for one in (pid, *helpers)}
    began = time.monotonic()
    time.sleep(watch_s)
    used = {one: cpu_s(one) - before[one] for one in before}
    wall_s = time.monotonic() - began
    own_s = used.pop(pid)
    return Waited(agents=AGENTS, wall_s=wall_s, own_cpu_s=own_s, helpers_cpu_s=sum(used.values()), own_mb=rss_mb(pid))
