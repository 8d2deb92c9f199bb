"""Test ids out of JUnit XML that a gate wrote: untrusted, bounded, stable between trees (SPEC 3.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.parsers import expat

from junitparser import Attr, Error, Failure, JUnitXml, JUnitXmlError, TestCase, TestSuite

from chargehand.adapters.folders import read_regular
from chargehand.adapters.text import clean_text

__all__ = ["JUNIT_BYTES", "failed_tests"]

JUNIT_BYTES = 32 * 1024 * 1024
_MAX_FAILED = 10_000
_MAX_DEPTH = 32
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,16}\b")


class _Case(TestCase):
    file = Attr()


class _Suite(TestSuite):
    testcase = _Case


class _Document(JUnitXml):
    testsuite = _Suite


class _Refused(Exception):
    """The document is not one that a test runner writes."""


def failed_tests(path: Path, roots: Sequence[str] = (), *, limit: int = JUNIT_BYTES) -> tuple[str, ...] | None:
    """The sorted ids of the tests that failed or ended in an error; None when that cannot be told.

    An id is `classname::name`, with the `file` attribute in front where there is one; `roots` (the checkout, private
    folders) are taken out of it. Not told: no regular file, more than `limit` bytes, not JUnit XML, a document
    type or entities, too many failures.
    """
    data = read_regular(path, limit)
    if data is None:
        return None
    try:
        _inspect(data)
        failed = set(_failed_ids(_Document.fromstring(data), roots))
    except (_Refused, expat.ExpatError, JUnitXmlError, SyntaxError, ValueError, LookupError):
        return None
    return tuple(sorted(failed)) if len(failed) <= _MAX_FAILED else None


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


def _failed_ids(document: JUnitXml, roots: Sequence[str]) -> Iterator[str]:
    for suite in document:
        for case in suite:  # those of nested suites too
            if any(isinstance(entry, Failure | Error) for entry in case):
                yield _test_id(case, roots)


def _test_id(case: TestCase, roots: Sequence[str]) -> str:
    text = "::".join(part for part in (getattr(case, "file", None), case.classname, case.name) if part)
    for root in sorted({root for root in roots if len(root) > 1}, key=len, reverse=True):
        text = text.replace(f"{root}/", "").replace(root, ".")
    return _ADDRESS.sub("0x<address>", clean_text(text).replace("\n", " "))[:500]
