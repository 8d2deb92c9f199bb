"""Texts that a shell evaluates although they look like names or numbers.

In arithmetic a variable stands for its value, which is evaluated again, and the subscript of a list is expanded: with
`x='a[$(command)]'`, `((x))` runs the command. The same holds wherever a builtin takes the name of a variable.
"""

from __future__ import annotations

import itertools
import re

from chargehand.adapters.guarding.look import Call, Look
from chargehand.adapters.guarding.place import UNKNOWN
from chargehand.adapters.guarding.scope import MOST_VALUES, Scope

__all__ = ["arithmetic", "expand", "look_at_name", "look_at_prompt"]

_END = "CHARGEHAND_END_OF_TEXT"
_RUNS = ("$(", "`", "${")
_SUBSCRIPT = re.compile(r"\w\[")
_EXPANDED = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*|\d))")


def _hides(text: str) -> bool:
    """Whether a text has a subscript that runs something when it is evaluated."""
    subscript = _SUBSCRIPT.search(text)
    return subscript is not None and any(mark in text[subscript.end() :] for mark in _RUNS)


def expand(text: str, call: Call, look: Look) -> None:
    """Follow what a shell runs when it expands `text` as it does between double quotes."""
    if any(mark in text for mark in _RUNS) and _END not in text:
        look.follow.text(f": <<{_END}\n{text}\n{_END}\n", call, None)
    for inner in re.findall(r"`([^`]*)`", text):
        look.follow.text(inner, call, None)


def look_at_name(text: str, call: Call, look: Look) -> None:
    """`text` is taken for the name of a variable, or for its value, and may be evaluated."""
    if _hides(text):
        scope = call.scope.copy()
        scope.strangers = False
        expand(text, Call(argv=call.argv, exact=call.exact, scope=scope), look)


def look_at_prompt(text: str, call: Call, look: Look) -> None:
    """`text` is expanded as a prompt: `${x@P}`, `PS4`."""
    if UNKNOWN in text:
        look.report("hidden_code", call)
    expand(text, call, look)


def arithmetic(text: str, call: Call, look: Look) -> None:
    """Evaluate an arithmetic expression, every value of every variable filled in."""
    found = [one or other for one, other in _EXPANDED.findall(text)]
    for filled in _filled(text, tuple(dict.fromkeys(found))[:4], call.scope):
        look_at_name(filled, call, look)
    for name in re.findall(r"[A-Za-z_]\w*", text)[:50]:
        for value in call.scope.variables.get(name, ()):
            look_at_name(value, call, look)


def _filled(text: str, variables: tuple[str, ...], scope: Scope) -> list[str]:
    given = {str(at): (value,) for at, value in enumerate(scope.positional or (), 1)}
    values = [scope.variables.get(name, given.get(name, ("",))) for name in variables]
    ways = itertools.islice(itertools.product(*values), MOST_VALUES * 2)

    def fill(way: tuple[str, ...]) -> str:
        known = dict(zip(variables, way, strict=True))
        return _EXPANDED.sub(lambda match: known.get(match[1] or match[2], match[0]), text)

    return [fill(way) for way in ways] if variables else [text]
