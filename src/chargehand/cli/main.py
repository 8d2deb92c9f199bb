"""The entry point: takes the words apart, calls one command, and catches whatever it lets through."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TextIO

import click

from chargehand import __version__
from chargehand.cli.registry import LazyGroup
from chargehand.cli.session import Session

__all__ = ["cli", "main"]

_EPILOG = """\b
A first run:
  chargehand init                 write plan.yaml and chargehand.toml
  chargehand check plan.yaml      find what is wrong with the plan
  chargehand run plan.yaml        carry it out
  chargehand accept               land the result on your branch

\b
Exit codes: 0 all integrated, 1 failures or blocked tasks, 2 usage or plan,
3 internal error, 4 only decisions are left, 130 interrupted or paused."""


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@click.version_option(__version__, prog_name="chargehand", message="%(prog)s %(version)s")
@click.option("--json", "_as_json", is_flag=True, hidden=True, expose_value=False)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Take an agreed plan and turn it into merged, verified code by driving coding agents."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and answer with its exit code (SPEC 10.1)."""
    words = list(sys.argv[1:] if argv is None else argv)
    session = Session(words=tuple(words))
    _open_streams()
    try:
        code = cli.main(args=words, prog_name="chargehand", standalone_mode=False, obj=session)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the one catch-all of the program
        from chargehand.cli.failing import explain

        code = explain(error, session)
    _flush()
    return code if isinstance(code, int) else 0


def _open_streams() -> None:
    """Streams that were closed by the caller lead nowhere; nothing is written to a file that got their number."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        _forgive(stream)


def _flush() -> None:
    """What is left goes out now, or nowhere: the interpreter would complain at its end that nobody reads it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _forgive(stream: TextIO) -> None:
    """A character the terminal cannot show is no reason to fail."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
