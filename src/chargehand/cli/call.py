"""What all commands have in common: their options, their streams, and the way to a repository."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, TypeVar

import click

from chargehand.cli.output import Output, close_stdout, is_terminal, may_colour
from chargehand.cli.render.pen import Pen
from chargehand.cli.session import Session
from chargehand.domain.errors import ChargehandError

if TYPE_CHECKING:
    from chargehand.wiring import Workshop

__all__ = ["Call", "command", "run_argument", "run_option", "task_argument"]

_COMMON = frozenset({"repo", "state_dir", "sets", "as_json", "quiet"})
_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of one command: where it looks, how it writes. `flags` are settings given as flags of their own."""

    session: Session
    out: Output
    repo: Path | None = None
    state_dir: Path | None = None
    sets: tuple[str, ...] = ()
    flags: dict[str, object] = field(default_factory=dict)

    @property
    def pen(self) -> Pen:
        """Draws what goes to stdout."""
        return Pen(colour=self.out.colour, width=self.out.width, where=self._where)

    @property
    def side_pen(self) -> Pen:
        """Draws what goes to stderr."""
        width = get_terminal_size().columns if is_terminal(self.out.stderr) else None
        return Pen(colour=may_colour(self.out.stderr), width=width, where=self._where)

    @property
    def _where(self) -> str:
        given = (("--repo", self.repo), ("--state-dir", self.state_dir))
        return "".join(f" {flag} {shlex.quote(str(folder))}" for flag, folder in given if folder is not None)

    async def open(self) -> Workshop:
        """The repository's workshop; `UserError` when there is no repository."""
        from chargehand.wiring import open_workshop

        workshop = await open_workshop(
            repo=self.repo, state_dir=self.state_dir, sets=self.sets, flags=self.flags, env=os.environ
        )
        self.session.crashes = workshop.places.crashes
        return workshop


def command(
    name: str, *, examples: str = "", cls: type[click.Command] = click.Command
) -> Callable[[Callable[..., Any]], click.Command]:
    """A command whose function takes a `Call` first; it may be a coroutine, and answers with its exit code or None.

    `examples` are lines of the form `words  what they do`.
    """

    def decorate(function: Callable[..., Any]) -> click.Command:
        @click.command(name, cls=cls, epilog=_epilog(examples))
        @_common_options
        @click.pass_obj
        @wraps(function)
        def call(
            session: Session,
            /,
            *args: Any,
            repo: Path | None,
            state_dir: Path | None,
            sets: tuple[str, ...],
            as_json: bool,
            quiet: bool,
            **values: Any,
        ) -> Any:
            out = Output(json=as_json or session.json, quiet=quiet)
            made = Call(session=session, out=out, repo=repo, state_dir=state_dir, sets=sets)
            try:
                result = function(made, *args, **values)
                return asyncio.run(result) if iscoroutinefunction(function) else result
            except BrokenPipeError:  # whoever read us has seen enough
                close_stdout()
                return 0

        call.params.sort(key=lambda param: param.name in _COMMON)  # a command's own options come first
        return call

    return decorate


def _epilog(examples: str) -> str:
    lines = [line.strip() for line in examples.strip().splitlines()]
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""


def _common_options(function: _F) -> _F:
    folder = click.Path(file_okay=False, path_type=Path)
    options = (
        click.option("--repo", type=folder, help="The repository; default: the one around the current folder."),
        click.option("--state-dir", type=folder, help="Keep runs and workspaces below this folder."),
        click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Give a setting; may be repeated."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document to stdout."),
        click.option("--quiet", "-q", is_flag=True, help="Leave out progress and hints."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def run_argument(function: _F) -> _F:
    """An optional RUN; the newest when it is left out."""
    return click.argument("run", required=False, metavar="[RUN]", shell_complete=_complete_run)(function)


def run_option(function: _F) -> _F:
    """The same as an option, for commands whose argument is a task."""
    text = "The run; default: the newest."
    return click.option("--run", "run", metavar="RUN", help=text, shell_complete=_complete_run)(function)


def task_argument(function: _F) -> _F:
    """A TASK of the run."""
    return click.argument("task", shell_complete=_complete_task)(function)


# -- completion -----------------------------------------------------------------------------------


def _complete_run(ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    workshop = _workshop_of(ctx)
    return [run for run in workshop.store.runs() if run.startswith(begun)] if workshop else []


def _complete_task(ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    workshop = _workshop_of(ctx)
    if workshop is None:
        return []
    with contextlib.suppress(ChargehandError):
        state = workshop.service.look(workshop.service.newest(ctx.params.get("run"))).state
        return [task for task in state.tasks if task.startswith(begun)]
    return []


def _workshop_of(ctx: click.Context) -> Workshop | None:
    """The repository that a half typed line is about; None where there is none: a shell is told nothing then."""
    call = Call(
        session=Session(), out=Output(), repo=ctx.params.get("repo"), state_dir=ctx.params.get("state_dir"), sets=()
    )
    with contextlib.suppress(ChargehandError):
        return asyncio.run(call.open())
    return None
