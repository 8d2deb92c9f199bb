"""The exceptions of the program. What can merely happen is an outcome, not an exception."""

from __future__ import annotations

__all__ = ["AdapterError", "ChargehandError", "RunLocked", "Stuck", "UserError"]


class ChargehandError(Exception):
    """Base of all our exceptions."""


class UserError(ChargehandError):
    """A mistake of the user: wrong plan, setting, argument or repository. Exit code 2."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "usage",
        hint: str = "",
        file: str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.file = file
        self.line = line


class AdapterError(ChargehandError):
    """The world failed behind a port; dispatch turns it into an outcome."""

    def __init__(self, port: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(f"{port}: {message}")
        self.port = port
        self.message = message
        self.retryable = retryable


class RunLocked(ChargehandError):
    """Another process holds the run."""

    def __init__(self, run: str, holder: str) -> None:
        super().__init__(f"Run {run} is held by {holder}.")
        self.run = run
        self.holder = holder


class Stuck(ChargehandError):
    """Nothing runs, nothing is due, and the run is not over: a bug, told instead of a hang."""
