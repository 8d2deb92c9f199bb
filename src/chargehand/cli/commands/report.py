"""`chargehand report`: what came of a run, as a page or as the text of a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command, run_argument

if TYPE_CHECKING:
    from chargehand.report.model import Report

__all__ = ["report"]

_EXAMPLES = """
chargehand report --open               a page of the newest run, in your browser
chargehand report todo-2 --output .    into a file of the current folder
chargehand report --markdown -o -      the text of a pull request, to stdout
"""
_STDOUT = Path("-")


@command("report", examples=_EXAMPLES)
@run_argument
@click.option("--html", "kind", flag_value="html", default=True, help="One page that needs nothing else (the default).")
@click.option("--markdown", "kind", flag_value="markdown", help="Short Markdown, for a pull request.")
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Where to write it; - is stdout. Default: the folder of the run.",
)
@click.option("--open", "show", is_flag=True, help="Show the page in your browser.")
async def report(call: Call, run: str | None, kind: str, output: Path | None, show: bool) -> int:
    """Tell what came of RUN: the plan as a graph, who worked when, every task with its attempts, gates, verdicts,
    findings and change.

    The page is one file without scripts that loads nothing. It is written into the folder of the run, never into your
    work tree unless --output says so; its path is printed.
    """
    from chargehand.domain.errors import UserError
    from chargehand.wiring.reporting import open_page, tell_report, write_report

    if output == _STDOUT and (show or call.out.json):
        text = "A report on stdout can be neither opened nor told of as JSON."
        raise UserError(text, code="bad_option", hint="Leave out --output -.")
    workshop = await call.open()
    name = workshop.service.newest(run)
    text, suffix = _written(await tell_report(workshop, name), kind, logs=output is None)
    if output == _STDOUT:
        call.out.text(text)
        return 0
    path = write_report(workshop, name, text, suffix, output)
    if call.out.json:
        call.out.document({"path": str(path), "format": kind, "run": name})
    else:
        call.out.say(str(path))
    if show and not await open_page(path):
        call.out.tell(f"There is no browser to open it with; open {path} yourself.")
    return 0


def _written(made: Report, kind: str, *, logs: bool) -> tuple[str, str]:
    if kind == "markdown":
        from chargehand.report.markdown import to_markdown

        return to_markdown(made), ".md"
    from chargehand.report.html import to_html

    return to_html(made, logs=logs), ".html"
