"""Everything a scripted agent can do, one function per kind of step."""
# importing `pathlib` would cost a quarter of the start-up time
# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH108, PTH109, PTH112, PTH114, PTH118, PTH120, PTH123, PTH211

from __future__ import annotations

import json
import os
import signal
import sys
import time

from .kinds import signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing `typing` would cost a quarter of the start-up time
    from typing import Any, NoReturn

    from .player import Player


__all__ = [
    "BAD_SCENARIO",
    "CHECK_FAILED",
    "STEP_FAILED",
    "Quit",
    "answer",
    "append",
    "chmod",
    "commit",
    "crash",
    "delete",
    "dump",
    "file_of",
    "flood",
    "git",
    "hang",
    "leave",
    "lie",
    "mkdir",
    "read_brief_check",
    "read_diff_check",
    "read_previous_check",
    "rename",
    "replace",
    "report",
    "report_fence",
    "report_text",
    "restore",
    "say",
    "show",
    "spawn",
    "stray",
    "symlink",
    "wait",
    "wait_for",
    "write",
]

BAD_SCENARIO, CHECK_FAILED, STEP_FAILED = 64, 65, 66
FOREVER_S = 3600.0
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Quit(Exception):
    """Ends the program with a message on stderr."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def file_of(variable: str) -> str:
    """The text of the file that a variable names; empty when there is none."""
    try:
        with open(os.environ.get(variable, ""), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _put(path: str, data: str | bytes, flags: int = os.O_TRUNC) -> None:
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o666)
    with open(handle, "wb") as file:
        file.write(raw)


def say(text: str, to: str = "stdout") -> None:
    """Print at once, as bytes, so that no locale stands in the way."""
    stream = sys.stderr if to == "stderr" else sys.stdout
    stream.flush()
    stream.buffer.write(text.encode("utf-8", "surrogatepass"))
    stream.flush()


def write(_: Player, path: str, text: str) -> None:
    """Put a text into a file, with the folders it needs."""
    _put(path, text)


def append(_: Player, path: str, text: str) -> None:
    """Put a text behind what a file holds."""
    _put(path, text, os.O_APPEND)


def replace(_: Player, path: str, old: str, new: str) -> None:
    """Change a text inside a file; it must be there."""
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    if old not in text:
        raise Quit(STEP_FAILED, f"step `replace`: {path} does not hold {old!r}")
    _put(path, text.replace(old, new))


def delete(_: Player, path: str) -> None:
    """Remove a file, a link or a folder with all it holds."""
    if os.path.isdir(path) and not os.path.islink(path):
        import shutil

        shutil.rmtree(path)
    else:
        os.unlink(path)


def rename(_: Player, path: str, to: str) -> None:
    """Move a file."""
    os.makedirs(os.path.dirname(to) or ".", exist_ok=True)
    os.rename(path, to)


def chmod(_: Player, path: str, mode: str | int) -> None:
    """Change the permissions of a file."""
    os.chmod(path, int(str(mode), 8))


def symlink(_: Player, path: str, target: str) -> None:
    """Make a link, in place of what has its name."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)


def mkdir(_: Player, path: str) -> None:
    """Make a folder."""
    os.makedirs(path, exist_ok=True)


def _run(argv: list[str], extra: dict[str, str] | None = None) -> None:
    sys.stdout.flush()
    pid = os.posix_spawnp(argv[0], argv, {**os.environ, **(extra or {})})
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise Quit(STEP_FAILED, f"`{' '.join(argv)}` ended with {code}")


def commit(_: Player, message: str, paths: list[str] | None = None, empty: bool = False, date: str = "") -> None:
    """Stage and commit, as an agent would."""
    _run(["git", "add", "-A", "--", *(paths or ["."])])
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
    _run(["git", "commit", "-q", "-m", message, *(["--allow-empty"] if empty else [])], dates)


def git(_: Player, args: list[str]) -> None:
    """Any git command."""
    _run(["git", *args])


def wait(_: Player, seconds: float) -> None:
    """Let time pass."""
    time.sleep(seconds)


def wait_for(_: Player, path: str, seconds: float = 30.0) -> None:
    """Wait until a file is there, in the scratch folder unless the path is absolute."""
    name = os.path.join(os.environ.get("CHARGEHAND_SCRATCH", "."), path)
    end = time.monotonic() + seconds
    while not os.path.lexists(name):
        if time.monotonic() > end:
            raise Quit(CHECK_FAILED, f"step `wait_for`: {name} did not come within {seconds:g} s")
        time.sleep(0.02)


def show(_: Player, text: str, to: str = "stdout", repeat: int = 1) -> None:
    """Print a text, once or often."""
    for _time in range(repeat):
        say(f"{text}\n", to)


def flood(_: Player, size: int, to: str = "stdout") -> None:
    """Print bytes, as fast as they go."""
    line = b"0123456789abcdef" * 4 + b"\n"
    block = line * 1000
    number = 2 if to == "stderr" else 1
    while size > 0:
        size -= os.write(number, block[:size])


def crash(_: Player, sig: str | int) -> None:
    """Die of a signal."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.flush()
    number = signal_number(sig)
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # a signal that does not end a process, or nobody may send


def leave(_: Player, code: int) -> NoReturn:
    """End with an exit code."""
    sys.exit(code)


def hang(_: Player, how: str = "silent", ignore_signals: bool = False, seconds: float = FOREVER_S) -> None:
    """Do nothing more, in silence or not."""
    if ignore_signals:
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if how == "chatter":
            say("still working\n")
        time.sleep(min(left, 0.2 if how == "chatter" else 60.0))


def spawn(
    _: Player, how: str, seconds: float = FOREVER_S, write: str = "", pid: str = "", keep_output: bool = False
) -> None:
    """A process that stays behind; answers once it is where it should be, however it detached."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        if how != "plain":
            os.setsid()
        if how != "double_fork" or os.fork() == 0:
            _stay(tell, seconds, write, pid, keep_output)
        os._exit(0)
    os.close(tell)
    os.read(ready, 1)
    os.close(ready)
    if how == "double_fork":
        os.waitpid(child, 0)


def _stay(tell: int, seconds: float, write: str, pid: str, keep_output: bool) -> NoReturn:
    try:
        if not keep_output:
            null = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
        if pid:
            _put(pid, f"{os.getpid()}\n")
        os.write(tell, b".")
        os.close(tell)
        time.sleep(seconds)
        if write:
            _put(write, f"written by {os.getpid()}\n")
    finally:
        os._exit(0)


def stray(_: Player, path: str, text: str = "stray\n") -> None:
    """Write where a task has no business; a sandbox may refuse, and then life goes on."""
    try:
        _put(path, text)
    except OSError as error:
        say(f"The stray write was refused: {error}\n", "stderr")


def _result() -> str:
    path = os.environ.get("CHARGEHAND_RESULT")
    if not path:
        raise Quit(STEP_FAILED, "CHARGEHAND_RESULT is not set")
    return path


def report(_: Player, data: dict[str, Any]) -> None:
    """Answer as JSON in the result file."""
    _put(_result(), json.dumps(data))


def report_text(
    _: Player,
    text: str = "",
    hex: str = "",  # noqa: A002
    size: int = 0,
    symlink: str = "",
    fifo: bool = False,
    folder: bool = False,
) -> None:
    """Leave something else at the place of the result file."""
    path = _result()
    if symlink:
        os.symlink(symlink, path)
    elif fifo:
        os.mkfifo(path)
    elif folder:
        os.mkdir(path)
    else:
        _put(path, bytes.fromhex(hex) or text.encode("utf-8", "surrogatepass").ljust(size))


def report_fence(_: Player, data: dict[str, Any]) -> None:
    """Answer in a fenced block on stdout."""
    restores = "gate_id" in data or "mitigation_applied" in data
    tag = "verdict" if "verdict" in data else "restoration" if restores else "report"
    say(f"```chargehand-{tag}\n{json.dumps(data, indent=1)}\n```\n")


def lie(player: Player, data: dict[str, Any]) -> None:
    """Claim that all is done."""
    report(player, {"status": "DONE", "summary": "Everything is done and tested.", **data})


def answer(player: Player, data: str | list[Any] | dict[str, Any]) -> None:
    """Answer as a reviewer: a word, findings, a whole verdict, or a text that is none."""
    if isinstance(data, dict) and "text" in data:
        _put(_result(), data["text"])
        return
    given = {"verdict": data} if isinstance(data, str) else {"findings": data} if isinstance(data, list) else data
    found = dict(given)
    if "findings" in found and isinstance(found["findings"], list):
        found["findings"] = [_finding(item) for item in found["findings"]]
    if "verdict" not in found:
        found = {"verdict": "FAIL" if _is_bad(found) else "PASS", **found}
    report(player, found)


def _finding(item: Any) -> Any:
    """A finding, also from a line such as `major src/a.py:12 It returns nothing.`."""
    if not isinstance(item, str):
        return item
    severity, place, claim = (*item.split(None, 2), "", "")[:3]
    file, _, line = place.rpartition(":")
    return {
        "severity": severity,
        "file": file or place,
        "line": int(line) if line.isdecimal() else None,
        "claim": claim,
    }


def _is_bad(found: dict[str, Any]) -> bool:
    severities = [item.get("severity") for item in found.get("findings", []) if isinstance(item, dict)]
    met = [item.get("met") for item in found.get("criteria", []) if isinstance(item, dict)]
    return "critical" in severities or "major" in severities or False in met


def restore(player: Player, data: dict[str, Any]) -> None:
    """Answer as a fitter."""
    report(player, data)


def dump(player: Player, path: str) -> None:
    """Write environment, folder and input into a file, for tests to look at."""
    facts = {"env": dict(os.environ), "cwd": os.getcwd(), "pid": os.getpid(), "stdin": player.brief}
    _put(path, json.dumps(facts, indent=1, sort_keys=True))


def read_brief_check(player: Player, texts: str | list[str]) -> None:
    """Fail unless the brief holds texts, on stdin and in its file."""
    for text in [texts] if isinstance(texts, str) else texts:
        for name, brief in (("on stdin", player.brief), ("in CHARGEHAND_BRIEF", file_of("CHARGEHAND_BRIEF"))):
            if text not in brief:
                raise Quit(CHECK_FAILED, f"the brief {name} does not hold {text!r}")


def read_previous_check(_: Player, texts: str | list[str]) -> None:
    """Fail unless the patch of the attempt before holds texts."""
    patch = file_of("CHARGEHAND_PREVIOUS")
    for text in [texts] if isinstance(texts, str) else texts:
        if text not in patch:
            raise Quit(CHECK_FAILED, f"the patch in CHARGEHAND_PREVIOUS does not hold {text!r}")


def read_diff_check(_: Player, texts: str | list[str]) -> None:
    """Fail unless the change under review holds texts."""
    patch = file_of("CHARGEHAND_DIFF")
    for text in [texts] if isinstance(texts, str) else texts:
        if text not in patch:
            raise Quit(CHECK_FAILED, f"the change in CHARGEHAND_DIFF does not hold {text!r}")
