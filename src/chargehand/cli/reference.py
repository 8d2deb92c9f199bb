"""The reference page of the command line, drawn from the commands themselves.

`python -m chargehand.cli.reference > docs/reference/command-line.md` renews it; a test tells when that is due.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import click

from chargehand.cli.main import cli
from chargehand.cli.registry import COMMANDS

__all__ = ["reference"]

_HEAD = """\
# Command line

<!-- made by `python -m chargehand.cli.reference`; do not edit -->

`chargehand COMMAND --help` says the same, with examples. Every command takes

{common}
Settings that have no flag of their own are given with `--set`: see [settings](settings.md). Documents are described in
[JSON documents](json.md).

An omitted `RUN` is the newest run. Text of plans, agents and repositories is shown without control sequences. Colour
and the moving display show only on a terminal; `NO_COLOR` turns colour off, `TERM=dumb` the display.

## Exit codes

| code | meaning |
|---|---|
| 0 | all tasks are integrated (of other commands: done) |
| 1 | failed, blocked or cancelled tasks, a red run gate, a refused `--accept`, a no (`doctor`: runs would fail) |
| 2 | usage, plan, settings or repository: nothing was started; or a profile's file was broken: mend it, then `resume` |
| 3 | an internal error (a crash report was written), or something the program needs failed; the run can be resumed |
| 4 | only decisions are left; on a terminal the run waits for them instead, unless `--no-wait` |
| 130 | paused, or interrupted: Ctrl-C, SIGTERM, or a terminal that was closed |

Ctrl-C (or SIGTERM, or a terminal that was closed) once stops cleanly: nothing new starts, live attempts are ended, what
they left is kept. Twice kills them; what they left is kept all the same. `--detach` goes on in the background: a
terminal that is closed ends nothing then, and `pause` or `cancel` stop the run. What the process in the background has
to say is in `driver.log` in the folder of the run, of which the last 4 to 8 MiB are kept.
"""


def reference() -> str:
    """The page as Markdown."""
    ctx = click.Context(cli, info_name="chargehand")
    parts = [_HEAD.format(common=_table(_common(ctx)))]
    for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
        parts.append(f"## {section}\n")
        for name, entry in COMMANDS.items():
            if entry.section == section:
                parts += _command(ctx, name)
    return "\n".join(parts).rstrip() + "\n"


def _common(ctx: click.Context) -> list[click.Option]:
    command = cli.get_command(ctx, "runs")
    assert command is not None
    return [param for param in command.params if isinstance(param, click.Option)]


def _command(ctx: click.Context, name: str) -> Iterator[str]:
    command = cli.get_command(ctx, name)
    assert command is not None
    if isinstance(command, click.Group):
        yield f"### {name}\n"
        yield f"{inspect.cleandoc(command.help or '')}\n"
        for inner in command.list_commands(ctx):
            found = command.get_command(ctx, inner)
            assert found is not None
            yield from _one(ctx, found, f"{name} {inner}")
        return
    yield from _one(ctx, command, name)


def _one(ctx: click.Context, command: click.Command, name: str) -> Iterator[str]:
    common = {option.name for option in _common(ctx)}
    arguments = [param.make_metavar(ctx) for param in command.params if isinstance(param, click.Argument)]
    options = [param for param in command.params if isinstance(param, click.Option) and param.name not in common]
    usage = " ".join(["chargehand", name, *arguments, *(["[OPTIONS]"] if options else [])])
    yield f"### {name}\n"
    yield f"`{usage}`\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    if options:
        yield _table(options)
    examples = [line.strip() for line in (command.epilog or "").splitlines()[2:]]
    if examples:
        yield "\n".join(("```text", *examples, "```", ""))


def _table(options: list[click.Option]) -> str:
    rows = [f"| {_names(option)} | {(option.help or '').replace('|', chr(92) + '|')} |" for option in options]
    return "\n".join(("| option | |", "|---|---|", *rows, ""))


def _names(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return names
    choices = getattr(option.type, "choices", None)
    value = "\\|".join(choices) if choices else option.metavar or option.type.name.upper()
    return f"{names} {value}"


if __name__ == "__main__":
    sys.stdout.write(reference())
