"""What `run` and `resume` print when the run has come to rest, and how it is accepted with `--accept`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chargehand.cli.call import Call
from chargehand.cli.output import close_stdout, is_gone
from chargehand.cli.render.summary import summary_lines
from chargehand.domain.view import document, exit_code

if TYPE_CHECKING:
    from pathlib import Path

    from chargehand.domain.state import RunState

__all__ = ["Accepting", "conclude"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepting:
    """What became of `--accept`: `done` says where the target is, `refused` why it is not."""

    done: str = ""
    refused: str = ""


def conclude(call: Call, state: RunState, accepting: Accepting | None = None, *, folder: Path) -> int:
    """Print where the run stands and answer with the exit code; an `--accept` that was refused makes it 1.

    `folder` is the run's: logs lie below it.
    """
    accepting = accepting or Accepting()
    try:
        _print(call, state, accepting, folder)
    except OSError as error:  # the code is the answer, also where nobody reads the rest
        if not is_gone(error):
            raise
        close_stdout()
    return 1 if accepting.refused else exit_code(state)


def _print(call: Call, state: RunState, accepting: Accepting, folder: Path) -> None:
    if call.out.json:
        made = document(state, held=False)
        if accepting.refused:
            refused = {"code": "not_accepted", "task": None, "text": accepting.refused}
            made["warnings"] = [*made["warnings"], refused]
        call.out.document(made)
    else:
        pen = call.pen
        call.out.say(*summary_lines(state, pen, accepted=accepting.done, folder=folder))
        if accepting.refused:
            call.out.tell(f"not accepted: {accepting.refused}")
