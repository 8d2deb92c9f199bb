"""The agent that is any command line: the contract of SPEC 3.5 and nothing else."""

from __future__ import annotations

from chargehand.adapters.agents.program import program_words, why_missing
from chargehand.domain.options import AgentDef
from chargehand.ports import AttemptSpec, Launch, Places

__all__ = ["CommandAgent"]


class CommandAgent:
    """Implements `ports.Agent`: the command as given, the brief on its input."""

    def __init__(self, definition: AgentDef) -> None:
        self.name = definition.name
        self._argv = (*program_words(definition), *definition.args)

    def launch(self, spec: AttemptSpec, places: Places) -> Launch:  # noqa: ARG002
        """The same command for every attempt."""
        return Launch(argv=self._argv, env={}, stdin=spec.brief.encode("utf-8", "replace"))

    def missing(self) -> str:
        """Why the program cannot be run, judged by the PATH that is passed on to it."""
        return why_missing(self._argv[0])
