"""The commands by name: what `--help` lists without importing any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

import click

__all__ = ["COMMANDS", "Entry", "LazyGroup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where a command is (`module:attribute`) and its line of help."""

    target: str
    help: str
    section: str = ""


_HERE = "chargehand.cli.commands"
_PLANS, _RUNS, _CONTROL, _ANSWERS = "Plans", "Runs", "Control", "Decisions"
_RESULTS, _PLACE = "Results", "This place"

COMMANDS: Mapping[str, Entry] = {
    "init": Entry(target=f"{_HERE}.init:init", help="Write a commented chargehand.toml and plan.yaml.", section=_PLANS),
    "check": Entry(target=f"{_HERE}.check:check", help="Check a plan: every problem at once.", section=_PLANS),
    "convert": Entry(target=f"{_HERE}.convert:convert", help="Write a plan in the native format.", section=_PLANS),
    "schema": Entry(target=f"{_HERE}.schema:schema", help="Print the JSON Schema of a plan.", section=_PLANS),
    "run": Entry(target=f"{_HERE}.run:run", help="Carry a plan out.", section=_RUNS),
    "resume": Entry(target=f"{_HERE}.resume:resume", help="Go on with a run that stopped.", section=_RUNS),
    "status": Entry(target=f"{_HERE}.status:status", help="Show where a run stands.", section=_RUNS),
    "runs": Entry(target=f"{_HERE}.runs:runs", help="List the runs of this repository.", section=_RUNS),
    "show": Entry(target=f"{_HERE}.show:show", help="Show a task: state, brief, change, output.", section=_RUNS),
    "why": Entry(target=f"{_HERE}.why:why", help="Say what a task waits for, or how it ended.", section=_RUNS),
    "log": Entry(target=f"{_HERE}.log:log", help="Print what happened in a run, event by event.", section=_RUNS),
    "pause": Entry(target=f"{_HERE}.pause:pause", help="Let a run stand until it is resumed.", section=_CONTROL),
    "cancel": Entry(target=f"{_HERE}.cancel:cancel", help="End a task, or give a run up.", section=_CONTROL),
    "retry": Entry(target=f"{_HERE}.retry:retry", help="Take tasks up again that did not make it.", section=_CONTROL),
    "skip": Entry(target=f"{_HERE}.skip:skip", help="Leave tasks out.", section=_CONTROL),
    "replan": Entry(target=f"{_HERE}.replan:replan", help="Give a run an edited plan.", section=_CONTROL),
    "decisions": Entry(
        target=f"{_HERE}.decisions:decisions", help="List the questions that wait for you.", section=_ANSWERS
    ),
    "answer": Entry(target=f"{_HERE}.answer:answer", help="Answer a question.", section=_ANSWERS),
    "approve": Entry(target=f"{_HERE}.answer:approve", help="Answer a question with approve.", section=_ANSWERS),
    "deny": Entry(target=f"{_HERE}.answer:deny", help="Answer a question with deny.", section=_ANSWERS),
    "reject": Entry(target=f"{_HERE}.answer:reject", help="Answer a question with reject.", section=_ANSWERS),
    "accept": Entry(target=f"{_HERE}.accept:accept", help="Land a run on your branch.", section=_RESULTS),
    "report": Entry(target=f"{_HERE}.report:report", help="Tell what came of a run, as a page.", section=_RESULTS),
    "receipt": Entry(
        target=f"{_HERE}.receipt:receipt", help="Show and check the proof of what landed.", section=_RESULTS
    ),
    "rescue": Entry(target=f"{_HERE}.rescue:rescue", help="Find work that was kept from being lost.", section=_RESULTS),
    "clean": Entry(target=f"{_HERE}.clean:clean", help="Remove what finished runs left behind.", section=_RESULTS),
    "doctor": Entry(target=f"{_HERE}.doctor:doctor", help="Find out what would not work here.", section=_PLACE),
    "agents": Entry(target=f"{_HERE}.agents:agents", help="List agents, and whether they can run.", section=_PLACE),
    "config": Entry(target=f"{_HERE}.config:config", help="Show settings, and where each came from.", section=_PLACE),
    "completion": Entry(
        target=f"{_HERE}.completion:completion", help="Print the completion script of your shell.", section=_PLACE
    ),
    "demo": Entry(target=f"{_HERE}.demo:demo", help="Watch a run with agents that need no login.", section=_PLACE),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and not before."""

    def __init__(self, *args: object, entries: Mapping[str, Entry] = COMMANDS, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names, in the order of the help."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command when there is none of that name."""
        if args and args[0] not in self._entries and not args[0].startswith("-"):
            from chargehand.domain.problem import nearest

            hint = nearest(args[0], self._entries)
            ctx.fail(f"There is no command '{args[0]}'. {hint}".rstrip())
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands by section, from the table alone."""
        for section in dict.fromkeys(entry.section for entry in self._entries.values()):
            rows = [(name, entry.help) for name, entry in self._entries.items() if entry.section == section]
            with formatter.section(section):
                formatter.write_dl(rows, col_spacing=4)
