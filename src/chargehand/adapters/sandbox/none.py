"""No sandbox: the launcher alone, so that nothing outlives its attempt; nothing else is kept from anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chargehand.adapters.sandbox.confine import launcher_argv, loader_options, why_not
from chargehand.adapters.sandbox.values import Confinement

__all__ = ["NoSandbox"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSandbox:
    """Runs programs as they are."""

    kind: str = "none"

    def wrap(self, argv: Sequence[str], confinement: Confinement) -> tuple[str, ...]:
        """The argv to start (contract: `Sandbox.wrap`)."""
        why = why_not(argv, confinement, None)
        return launcher_argv([f"--refuse={why}"] if why else loader_options(confinement), argv, confinement)

    def explain(self, program: str, confinement: Confinement) -> str:
        """Why a program cannot be executed (contract: `Sandbox.explain`)."""
        return why_not((program,), confinement, None)
