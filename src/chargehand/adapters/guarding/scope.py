"""What is known at one point of a shell text: variables, functions, aliases, folders, files written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from chargehand.adapters.guarding.place import UNKNOWN

__all__ = ["MOST_VALUES", "NOTHING", "SOMETHING", "Out", "Scope", "some"]

MOST_VALUES = 8
"""How many values of one variable are followed; with more it counts as unknown."""
LONGEST_VALUE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """What a command prints: `text` where it can be told; `remote`: from the network; `files`: of the workspace."""

    text: str | None = None
    remote: bool = False
    files: bool = False

    def __add__(self, other: Out) -> Out:
        if self.text is not None and other.text is not None:
            return Out(text=self.text + other.text)
        if NOTHING in (self, other):
            return other if self == NOTHING else self
        return Out(remote=self.remote or other.remote, files=self.files and other.files)


NOTHING = Out(text="")
SOMETHING = Out()


def some(values: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """The values without repetitions; unknown when they are too many or too long to follow."""
    distinct = tuple(dict.fromkeys(values))
    if not distinct or len(distinct) > MOST_VALUES or any(len(value) > LONGEST_VALUE for value in distinct):
        return (UNKNOWN,)
    return distinct


@dataclass(slots=True, kw_only=True)
class Scope:
    """The state of a shell. Each variable has every value it may have; `positional` None: not known.

    `files` is shared by all shells of a text: what one of them has written, the others can run. `strangers`: programs
    nobody knows are reported; not so where a text is only perhaps one for a shell. A variable `&name` holds the names
    that `name` stands for.
    """

    cwds: tuple[str, ...]
    variables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    arrays: dict[str, tuple[str, ...]] = field(default_factory=dict)
    functions: dict[str, Any] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    files: dict[str, Out] = field(default_factory=dict)
    positional: tuple[str, ...] | None = None
    strangers: bool = True

    def assign(self, name: str, values: tuple[str, ...]) -> None:
        """Set a variable, and with it what it is another name of (`declare -n`)."""
        for target in self.variables.get(f"&{name}", ()):
            self.variables[target] = values
        self.variables[name] = values

    def copy(self) -> Scope:
        """Another shell that knows the same, as in a subshell."""
        return replace(
            self,
            variables=dict(self.variables),
            arrays=dict(self.arrays),
            functions=dict(self.functions),
            aliases=dict(self.aliases),
        )

    def wrote(self, path: str, out: Out) -> None:
        """Remember what was written to a path; what was there before may still be."""
        held = self.files.get(path)
        if held is None or held == out:
            self.files[path] = out
        else:
            self.files[path] = held + Out(text="\n") + out

    def join(self, other: Scope) -> None:
        """Know what is true in either: the ways through the text come together here."""
        for name in self.variables.keys() | other.variables.keys():
            mine, theirs = self.variables.get(name), other.variables.get(name)
            if mine != theirs:
                self.variables[name] = some([*(mine or (UNKNOWN,)), *(theirs or (UNKNOWN,))])
        for name in self.arrays.keys() | other.arrays.keys():
            if self.arrays.get(name) != other.arrays.get(name):
                self.arrays[name] = (UNKNOWN,)
        self.functions |= other.functions
        self.aliases |= other.aliases
        self.cwds = some([*self.cwds, *other.cwds])
        if self.positional != other.positional:
            self.positional = None
