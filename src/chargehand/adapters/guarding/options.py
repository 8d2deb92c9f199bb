"""Options of command lines, as getopt reads them: clusters, attached values, abbreviated long names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Options", "names", "read_options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What stood on a command line: options with their values (None: no value), and the rest."""

    given: tuple[tuple[str, str | None], ...]
    rest: tuple[str, ...]

    def has(self, *names: str) -> bool:
        """Whether one of the options was given; long ones also abbreviated."""
        return any(_is(option, name) for option, _ in self.given for name in names)

    def values(self, *names: str) -> Iterator[str]:
        """The values given to the options."""
        for option, value in self.given:
            if value is not None and any(_is(option, name) for name in names):
                yield value


def _is(option: str, name: str) -> bool:
    return option == name or (len(option) > 3 and option.startswith("--") and name.startswith(option))


def names(text: str) -> frozenset[str]:
    """The words of a text: a long list of names, easy to read and to add to."""
    return frozenset(text.split())


def read_options(
    words: Sequence[str], *, short: str = "", long: Collection[str] = (), stop: bool = False, single: bool = False
) -> Options:
    """Split the words behind a program.

    `short` are the letters, `long` the names that take a value in the next word; `stop`: the first word that is no
    option ends them, as for programs that start another; `single`: long names begin with one dash.
    """
    given: list[tuple[str, str | None]] = []
    rest: list[str] = []
    waiting = list(reversed(words))
    while waiting:
        word = waiting.pop()
        if word == "--":
            rest += reversed(waiting)
            break
        if word == "-" or not word.startswith("-"):
            rest.append(word)
            if stop:
                rest += reversed(waiting)
                break
        elif word.startswith("--") or single:
            name, equals, value = word.partition("=")
            if equals:
                given.append((name, value))
            elif any(_is(name, one) for one in long) and waiting:
                given.append((name, waiting.pop()))
            else:
                given.append((name, None))
        else:
            _cluster(word[1:], short, waiting, given)
    return Options(given=tuple(given), rest=tuple(rest))


def _cluster(letters: str, short: str, waiting: list[str], given: list[tuple[str, str | None]]) -> None:
    for at, letter in enumerate(letters):
        if letter in short:
            attached = letters[at + 1 :]
            given.append((f"-{letter}", attached or (waiting.pop() if waiting else None)))
            return
        given.append((f"-{letter}", None))
