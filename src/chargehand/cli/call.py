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
from typing import TYPE_CHECKING, Any, TypeVar

import click

from chargehand.cli.output import Output, close_stdout, is_gone, is_terminal, may_colour, terminal_width
from chargehand.cli.render.pen import Pen
from chargehand.cli.session import Session
from chargehand.domain.errors import UserError

if TYPE_CHECKING:
    from chargehand.domain.state import RunState
    from chargehand.settings import Settings
    from chargehand.wiring import Workshop

__all__ = [
    "NO_REPOSITORY",
    "Call",
    "choice_argument",
    "command",
    "decision_argument",
    "optional_task",
    "run_argument",
    "run_option",
    "task_argument",
    "task_arguments",
    "task_option",
    "yes_option",
]

NO_REPOSITORY = frozenset({"not_a_repository", "no_commit"})
"""Codes of `UserError`: there is nothing here that a run could start from."""
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
        width = terminal_width(self.out.stderr) if is_terminal(self.out.stderr) else None
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
        self.session.vault.include(workshop.vault)
        return workshop

    async def settings(self) -> Settings:
        """The settings in force here, also where no run could start: outside a repository, before the first commit."""
        from chargehand.settings import load_settings

        try:
            return (await self.open()).settings
        except UserError as error:
            if error.code not in NO_REPOSITORY or (self.repo is not None and error.code != "no_commit"):
                raise
        here = (self.repo or Path.cwd()).absolute()
        root = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), None)
        return load_settings(root, os.environ, self.sets, self.flags)


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
            out = Output(json=as_json or session.json, quiet=quiet, vault=session.vault)
            made = Call(session=session, out=out, repo=repo, state_dir=state_dir, sets=sets)
            try:
                result = function(made, *args, **values)
                return asyncio.run(result) if iscoroutinefunction(function) else result
            except OSError as error:
                if not is_gone(error):
                    raise
                close_stdout()  # whoever read us has seen enough
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


def task_arguments(function: _F) -> _F:
    """Any number of tasks of the run."""
    return click.argument("tasks", nargs=-1, metavar="[TASK]...", shell_complete=_complete_task)(function)


def optional_task(function: _F) -> _F:
    """A TASK of the run, or none."""
    return click.argument("task", required=False, metavar="[TASK]", shell_complete=_complete_task)(function)


def yes_option(function: _F) -> _F:
    """A yes beforehand."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask. Needed where there is no terminal.")(function)


def task_option(help_text: str) -> Callable[[_F], _F]:
    """The same as an option."""
    return click.option("--task", metavar="TASK", help=help_text, shell_complete=_complete_task)


def decision_argument(function: _F) -> _F:
    """The ID of an open question."""
    return click.argument("decision", metavar="ID", shell_complete=_complete_decision)(function)


def choice_argument(function: _F) -> _F:
    """One of its choices."""
    return click.argument("choice", shell_complete=_complete_choice)(function)


# -- completion -----------------------------------------------------------------------------------


def _complete_run(ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    workshop = _workshop_of(ctx)
    return [run for run in workshop.store.runs() if run.startswith(begun)] if workshop else []


def _complete_task(ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    state = _state_of(ctx)
    return [task for task in state.tasks if task.startswith(begun)] if state else []


def _complete_decision(ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    state = _state_of(ctx)
    return [decision for decision in state.decisions if decision.startswith(begun)] if state else []


def _complete_choice(ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    state = _state_of(ctx)
    asked = state.decisions.get(ctx.params.get("decision") or "") if state else None
    return [choice for choice in asked.choices if choice.startswith(begun)] if asked else []


def _state_of(ctx: click.Context) -> RunState | None:
    """The run that a half typed line is about."""
    workshop = _workshop_of(ctx)
    if workshop is None:
        return None
    with contextlib.suppress(Exception):  # whatever is wrong here, a shell that completes shows no errors
        return workshop.service.look(workshop.service.newest(ctx.params.get("run"))).state
    return None


def _workshop_of(ctx: click.Context) -> Workshop | None:
    """The repository that a half typed line is about; None where there is none: a shell is told nothing then."""
    call = Call(
        session=Session(), out=Output(), repo=ctx.params.get("repo"), state_dir=ctx.params.get("state_dir"), sets=()
    )
    with contextlib.suppress(Exception):
        return asyncio.run(call.open())
    return None
