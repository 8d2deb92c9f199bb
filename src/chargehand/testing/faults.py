"""Making the world fail at a chosen moment: the k-th call of any port, before or after it took effect.

    faults = Faults(at=7, when="after")
    journal, fleet = faults.wrap(journal, "append"), faults.wrap(fleet)

With `Crash` (the default) the process is as good as dead: every later call fails in the same way, and since `Crash`
is no `Exception`, nothing that handles errors can mistake it for one. A test then makes new objects over the same
world and resumes. `calls` counts without failing when `at` is None, which tells how many k there are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast

__all__ = ["Crash", "Faults"]

T = TypeVar("T")


class Crash(BaseException):
    """The process dies here."""


class Faults:
    """Counts the calls of all the ports it wrapped and raises at one of them.

    `at` counts from 1; `when` says whether the call takes effect first (its answer is lost); `error` makes what is
    raised: with anything but `Crash` the calls after it succeed again. It may also do something itself (kill the
    process, cancel a task) and answer None: then nothing is raised. With `of` only the calls of that method (`append`,
    or `FakeJournal.append`) are counted; a crash ends all of them.
    """

    def __init__(
        self,
        at: int | None = None,
        *,
        when: Literal["before", "after"] = "before",
        error: Callable[[], BaseException | None] = Crash,
        of: str = "",
    ) -> None:
        self.at = at
        self.when = when
        self.error = error
        self.of = of
        self.calls: list[str] = []
        self.dead = False

    @property
    def fired(self) -> bool:
        """Whether the chosen call has come."""
        return self.at is not None and len(self.calls) >= self.at

    def wrap(self, port: T, *methods: str) -> T:
        """The port with its methods (or only those named) under this count."""
        return cast("T", _Wrapped(self, port, methods))

    def _due(self, name: str) -> bool:
        """Count a call; whether it is the one. Raises for the dead."""
        if self.dead:
            raise Crash
        if self.of and self.of not in {name, name.rpartition(".")[2]}:
            return False
        self.calls.append(name)
        return len(self.calls) == self.at

    def _fail(self) -> None:
        error = self.error()
        self.dead = isinstance(error, Crash)
        if error is not None:
            raise error

    def _call(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            due = self._due(name)
            if due and self.when == "before":
                self._fail()
            result = method(*args, **kwargs)
            if due and self.when == "after":
                self._fail()
            return result

        return call

    def _async_call(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            due = self._due(name)
            if due and self.when == "before":
                self._fail()
            result = await method(*args, **kwargs)
            if due and self.when == "after":
                self._fail()
            if self.dead:
                raise Crash  # died while this call was under way
            return result

        return call


class _Wrapped:
    """Passes everything on; methods go through the count."""

    def __init__(self, faults: Faults, port: object, methods: tuple[str, ...]) -> None:
        self._faults = faults
        self._port = port
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if name.startswith("_") or not inspect.ismethod(value) or (self._methods and name not in self._methods):
            return value
        label = f"{type(self._port).__name__}.{name}"
        if inspect.iscoroutinefunction(value):
            return self._faults._async_call(label, value)
        return self._faults._call(label, value)
