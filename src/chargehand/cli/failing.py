"""From an exception to an exit code, a document or a message, and a crash report where it was our fault."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from chargehand import __version__
from chargehand.cli.output import Output, close_stdout, is_terminal, may_colour, terminal_width
from chargehand.cli.render.checked import placed
from chargehand.cli.render.event_json import event_document
from chargehand.cli.render.pen import Pen, hang
from chargehand.cli.render.text import clean, to_json
from chargehand.cli.session import Session
from chargehand.domain.errors import AdapterError, RunLocked, UserError
from chargehand.domain.problem import Problem

__all__ = ["INTERNAL", "INTERRUPTED", "USAGE", "PlanRefused", "explain"]

USAGE = 2
INTERNAL = 3
_TAKEN_AWAY = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
INTERRUPTED = 130
_SEEMS_DEAD = "which seems dead"
"""How the lock speaks of a holder on another machine that was not heard of for long."""


class PlanRefused(UserError):
    """A plan with errors: the first of them stands for all, `problems` has every one."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        super().__init__(first.message, code=first.code, hint=first.hint, file=first.file, line=first.line)
        self.problems = tuple(problems)


def explain(error: BaseException, session: Session) -> int:
    """Say what went wrong, as a document or in words, and answer with the exit code."""
    code, document = _judge(error, session)
    out = Output(json=session.json, vault=session.vault)
    try:
        if out.json:
            out.document(document)
        else:
            _print(out, document)
    except BrokenPipeError:
        close_stdout()
    return code


def _judge(error: BaseException, session: Session) -> tuple[int, dict[str, Any]]:
    match error:
        case UserError():
            document = _document(error.code, error.message, error.hint, error.file, error.line)
            problems: tuple[Problem, ...] = getattr(error, "problems", ())  # of plans and settings: all at once
            rows = [_row(p.code, p.message, p.hint, p.file, p.line) for p in problems]
            return USAGE, document | ({"errors": rows} if rows else {})
        case RunLocked():
            return USAGE, _document("run_locked", str(error), _locked_hint(error))
        case click.UsageError():
            return USAGE, _document("usage", _sentence(error.format_message()), _help_hint(error))
        case click.ClickException():
            return USAGE, _document("usage", _sentence(error.format_message()), "")
        case click.Abort() | KeyboardInterrupt():
            return INTERRUPTED, _document("interrupted", "Interrupted.", "")
        case AdapterError():
            return USAGE if _is_of_the_user(error) else INTERNAL, _document(
                f"{error.port}_failed", _sentence(error.message), _resume_hint(session)
            )
        case _:
            return INTERNAL, _crash(error, session)


def _is_of_the_user(error: AdapterError) -> bool:
    """Whether somebody broke a file that shows the run, or took it away: nothing the program needs has failed."""
    cause = error.__cause__
    return error.port == "projection" and (not isinstance(cause, OSError) or isinstance(cause, _TAKEN_AWAY))


def _document(code: str, message: str, hint: str, file: str | None = None, line: int | None = None) -> dict[str, Any]:
    return {"error": _row(code, message, hint, file, line)}


def _row(code: str, message: str, hint: str, file: str | None, line: int | None) -> dict[str, Any]:
    return {"code": code, "message": message, "file": file, "line": line, "hint": hint or None}


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _help_hint(error: click.UsageError) -> str:
    return f"See `{error.ctx.command_path} --help`." if error.ctx else ""


def _locked_hint(error: RunLocked) -> str:
    """One way on: a machine that seems dead takes no pause, so there the doctor frees the run."""
    run = error.run
    if _SEEMS_DEAD in error.holder:
        steps = f"`chargehand doctor {run} --repair`, then `chargehand resume {run}`"
        return f"Once you know that nothing runs there: {steps}."
    return (
        f"Follow it with `chargehand log {run} --follow` or `chargehand status {run} --watch`; "
        f"to take it over: `chargehand pause {run}`, then `chargehand resume {run}`."
    )


def _resume_hint(session: Session) -> str:
    if session.run is None:
        return "`chargehand doctor` looks for the cause."
    return f"Nothing is lost: go on with `chargehand resume {session.run}` when the cause is mended."


def _print(out: Output, document: dict[str, Any]) -> None:
    width = terminal_width(out.stderr) if is_terminal(out.stderr) else None
    pen = Pen(colour=may_colour(out.stderr), width=width)
    for row in document.get("errors") or [document["error"]]:
        message = clean(placed(row["message"], row["file"], row["line"]))
        out.tell(*hang(f"{pen.draw('error', 'bad')}: ", message, pen, indent=0))
        if row["hint"]:
            out.tell(*hang(f"{pen.draw('hint', 'quiet')}: ", clean(row["hint"]), pen, indent=0))


# -- crashes --------------------------------------------------------------------------------------


def _crash(error: BaseException, session: Session) -> dict[str, Any]:
    report = session.vault.text(_report(error, session))
    path = _write(report, session)
    where = f" A report is in {path}." if path else f"\n{report}"
    message = f"Chargehand failed: {type(error).__name__}: {error}.{where}"
    return _document("internal", message, _resume_hint(session) if session.run else "")


def _report(error: BaseException, session: Session) -> str:
    lines = [
        f"chargehand {__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"at {datetime.now(UTC).isoformat(timespec='seconds')}, process {os.getpid()}",
        f"command: {session.words[0] if session.words else ''}",
        f"run: {session.run or 'none'}",
        "",
        *traceback.format_exception(error),
    ]
    if session.recent:
        lines += ["the last events:"]
        lines += [to_json(event_document(event, session.run or ""), indent=None) for event in session.recent]
    return "\n".join(lines) + "\n"


def _write(report: str, session: Session) -> Path | None:
    """The report in the state folder, else in the user's; None when neither can be written."""
    from platformdirs import user_state_path

    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    for folder in (session.crashes, user_state_path("chargehand") / "crashes"):
        if folder is None:
            continue
        path = folder / f"{stamp}-{os.getpid()}.txt"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(report, encoding="utf-8", errors="replace")
        except OSError as problem:
            sys.stderr.write(f"A crash report cannot be written to {path}: {problem.strerror}.\n")
            continue
        return path
    return None
