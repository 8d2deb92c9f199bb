"""Which exit code an error has: of the user's doing, or of something the program needs (SPEC 10.1)."""

from __future__ import annotations

import errno

import pytest

from chargehand.cli.failing import INTERNAL, USAGE, explain
from chargehand.cli.session import Session
from chargehand.domain.errors import AdapterError


@pytest.mark.parametrize(
    ("port", "cause", "code"),
    [
        ("projection", ValueError("not JSON"), USAGE),
        ("projection", None, USAGE),
        ("projection", OSError(errno.ENOENT, "gone"), USAGE),
        ("projection", OSError(errno.EACCES, "forbidden"), USAGE),
        ("projection", OSError(errno.ENOSPC, "full"), INTERNAL),
        ("journal", ValueError("not JSON"), INTERNAL),
    ],
)
def test_a_file_that_somebody_broke_is_theirs(
    capsys: pytest.CaptureFixture[str], port: str, cause: Exception | None, code: int
):
    """What the program needs and has not got is another thing."""
    error = AdapterError(port, "state.json cannot be brought up to date")
    error.__cause__ = cause
    session = Session(words=("run", "--json"), run="r-1")
    assert explain(error, session) == code
    said = capsys.readouterr().out
    assert f"{port}_failed" in said
    assert "chargehand resume r-1" in said
