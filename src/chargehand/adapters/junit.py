"""Test ids out of JUnit XML that a gate wrote: untrusted, bounded, stable between trees (SPEC 3.1).

What runners write differs: pytest, node, vitest, jest, gotestsum, go-junit-report, nextest and Surefire are known by
recorded samples (tests/golden/junit). An id must be the same for the same test in another checkout at another time, and
another one for another test: so places, addresses and clocks are taken out, and what is still alike is numbered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from xml.parsers import expat

from junitparser import Attr, Element, Error, Failure, JUnitXmlError, Properties, Property, Skipped, xunit2

from chargehand.adapters.folders import read_regular
from chargehand.adapters.text import clean_text

__all__ = ["JUNIT_BYTES", "TestIds", "failed_tests", "read_tests"]

_E = TypeVar("_E", bound=Element)

JUNIT_BYTES = 32 * 1024 * 1024
_MAX_FAILED = 10_000
_MAX_DEPTH = 32
_ID_CHARS = 500
_INTERIM = (xunit2.FlakyFailure, xunit2.FlakyError, xunit2.RerunFailure, xunit2.RerunError)
_SAYS_NOTHING = frozenset({None, "test", "suite"})
"""Class names that say nothing about where a test is: node writes the kind of the thing there, others write none."""

_VOLATILE = (
    (re.compile(r"(?:/[\w./+-]*/|\b)pytest-of-[\w.-]+/pytest-\d+"), "<tmp>"),
    (re.compile(r"\b0x[0-9a-fA-F]{6,16}\b"), "0x<address>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"(?:/private)?/(?:var/folders/\w+/\w+/T|var/tmp|tmp)/[\w.+@~-]+"), "<tmp>"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestIds:
    """What a run of tests says, each sorted; a test stands in exactly one of `failed`, `passed` and `skipped`.

    `flaky` are those of `passed` that had failed before, in the same run.
    """

    __test__ = False  # no test class, whatever its name says

    failed: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()


class _Rerun(Element):
    _tag = "rerun"


class _Case(xunit2.TestCase):
    file = Attr()


class _Suite(xunit2.TestSuite):
    testcase = _Case


class _Document(xunit2.JUnitXml):
    testsuite = _Suite


class _Refused(Exception):
    """The document is not one that a test runner writes."""


def failed_tests(path: Path, roots: Sequence[str] = (), *, limit: int = JUNIT_BYTES) -> tuple[str, ...] | None:
    """The sorted ids of the tests that failed or ended in an error; None when that cannot be told (`read_tests`)."""
    found = read_tests(path, roots, limit=limit)
    return None if found is None else found.failed


def read_tests(path: Path, roots: Sequence[str] = (), *, limit: int = JUNIT_BYTES) -> TestIds | None:
    """What the tests came to; None when that cannot be told.

    An id is `classname::name`, with the `file` attribute in front where there is one, and the names of the suites in
    place of a class name that says nothing; the second one that is alike has ` #2` behind it. `roots` (the checkout,
    private folders) are taken out of it. Not told: no regular file, more than `limit` bytes, not JUnit XML, a document
    type or entities, too many failures.
    """
    data = read_regular(path, limit)
    if data is None:
        return None
    try:
        _inspect(data)
        tally = _Tally(roots=tuple(sorted({root for root in roots if len(root) > 1}, key=len, reverse=True)))
        tally.take(_Document.fromstring(data))
    except (_Refused, expat.ExpatError, JUnitXmlError, SyntaxError, ValueError, LookupError):
        return None
    found = tally.ids()
    return found if len(found.failed) <= _MAX_FAILED else None


def _inspect(data: bytes) -> None:
    """Refuse documents that could cost more than they weigh: entities, and elements nested without end."""
    depth = 0

    def opened(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise _Refused

    def closed(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def doctype(*_details: object) -> None:
        raise _Refused

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    parser.Parse(data, True)


_PASSED, _FLAKY, _SKIPPED, _FAILED = "passed", "flaky", "skipped", "failed"


@dataclass(slots=True, kw_only=True)
class _Tally:
    """Collects the tests of a document, in its order."""

    roots: tuple[str, ...]
    states: dict[str, str] = field(default_factory=dict)
    alike: dict[str, int] = field(default_factory=dict)

    def take(self, document: Element) -> None:
        """Take in all that is in there; tests may stand outside of any suite."""
        for case in _children(document, _Case):
            self._add(self._id(case, ()), _state(case))
        for suite in _children(document, _Suite):
            self._suite(suite, (), again=False)

    def _suite(self, suite: _Suite, above: tuple[str, ...], *, again: bool) -> None:
        names = (*above, suite.name) if suite.name else above
        sets = _children(suite, Properties)
        known = any(each.name == "go.version" for some in sets for each in _children(some, Property))
        again = again or known or suite.name == "pytest"
        for case in _children(suite, _Case):
            self._add(self._id(case, names), _state(case), again=again)
        for inner in _children(suite, _Suite):
            self._suite(inner, names, again=again)
        if any(_children(suite, kind) for kind in (Failure, Error)):
            self._add(self._clean("::".join(names)), _FAILED)

    def _add(self, name: str, state: str, *, again: bool = False) -> None:
        """Count a test. `again`: names are unique by the rules of the language, so one that comes twice was rerun."""
        before = self.states.get(name)
        if before is not None and again:
            self.states[name] = _FLAKY if before in (_FAILED, _FLAKY) and state == _PASSED else state
            return
        number = self.alike[name] = self.alike.get(name, 0) + 1
        self.states[name if number == 1 else f"{name} #{number}"] = state

    def _id(self, case: _Case, suites: tuple[str, ...]) -> str:
        known = case.classname not in _SAYS_NOTHING
        parts = (case.file, *((case.classname,) if known else suites), case.name)
        return self._clean("::".join(part for part in parts if part))

    def _clean(self, text: str) -> str:
        text = text[: 8 * _ID_CHARS]  # patterns are tried on what has a bound
        for root in self.roots:
            text = text.replace(f"{root}/", "").replace(root, ".")
        for pattern, placeholder in _VOLATILE:
            text = pattern.sub(placeholder, text)
        return clean_text(text).replace("\n", " ")[:_ID_CHARS]

    def ids(self) -> TestIds:
        """What was taken in."""
        by_state: dict[str, list[str]] = {}
        for name, state in sorted(self.states.items()):
            by_state.setdefault(state, []).append(name)
        flaky = by_state.get(_FLAKY, [])
        return TestIds(
            failed=tuple(by_state.get(_FAILED, ())),
            passed=tuple(sorted([*by_state.get(_PASSED, ()), *flaky])),
            skipped=tuple(by_state.get(_SKIPPED, ())),
            flaky=tuple(flaky),
        )


def _state(case: _Case) -> str:
    """What became of a test. A failed one that is `todo` for node counts for nothing there, and so here."""
    entries = list(case)
    skipped = [entry for entry in entries if isinstance(entry, Skipped)]
    failed = any(isinstance(entry, Failure | Error) for entry in entries)
    if failed and not any(entry.type == "todo" for entry in skipped):
        return _FAILED
    if skipped:
        return _SKIPPED
    again = any(isinstance(entry, _INTERIM) for entry in entries) or _children(case, _Rerun)
    return _FLAKY if again else _PASSED


def _children(element: Element, kind: type[_E]) -> list[_E]:
    return list(element.iterchildren(kind))  # type: ignore[no-untyped-call]
