"""What an agent's stream comes to: lines, transcript, sums, and the ending that it corrects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from chargehand.adapters.agent_run import LINE_BYTES, TRANSCRIPT_BYTES, AgentRun, exit_of
from chargehand.adapters.agents.stream import Doc, JsonReader, ProgramAgent, count, text
from chargehand.adapters.output import Redactor
from chargehand.adapters.process import EndKind, ProcessEnd
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import ExitKind
from chargehand.ports import AgentEvent, Capabilities, EventKind, ModelUsage, StreamAgent, StreamEnd

SECRET = "s3cret-of-nobody"
FINE = ProcessEnd(kind=EndKind.EXITED, code=0)


class Reader(JsonReader):
    """`say`, `call`, `result` and `used` by their names; `break` is a bug of the driver."""

    def read(self, doc: Doc) -> Iterable[AgentEvent]:
        return self._read(doc)

    def _read(self, doc: Doc) -> Iterator[AgentEvent]:
        if "break" in doc:
            raise RuntimeError("a bug")
        if "used" in doc:
            self.usage = ModelUsage(output_tokens=count(doc, "used"))
            yield AgentEvent(kind=EventKind.USED, usage=self.usage)
            return
        self.final = text(doc, "say")
        kind = next((kind for kind in EventKind if kind.value in doc), EventKind.TEXT)
        yield AgentEvent(kind=kind, text=text(doc, "say") or text(doc, kind.value), tool=text(doc, "tool"))


class Driver(ProgramAgent):
    """Starts nothing."""

    default = "true"

    def reader(self) -> Reader:
        return Reader()


@pytest.fixture
def driver() -> StreamAgent:
    return Driver(AgentDef(name="d", kind="d"))  # type: ignore[return-value]


@pytest.fixture
def run(driver, tmp_path) -> AgentRun:
    return AgentRun(driver, transcript=tmp_path / "log", redactor=Redactor((SECRET,)))


def told(tmp_path) -> str:
    found: str = (tmp_path / "log").read_text("utf-8")
    return found


STREAM = (
    b'{"started": "big"}\r\n{"say": "h\xc3\xa9llo\\n\\nthere"}\n\nnoise\n'
    b'{"call": "ls", "tool": "sh"}\n{"result": "a\\nb"}\n{"denied": "rm", "tool": "sh"}\n'
    b'{"retry": "429"}\n{"error": "no"}\n{"say": "the end"}'
)
TOLD = (
    "model: big\nhéllo\n\nthere\n> sh: ls\n  a\n  b\nrefused: sh: rm\n"
    "the provider is asked again: 429\nerror: no\nthe end\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
def test_pieces_of_any_size_make_the_same_lines(run, tmp_path, size):
    """Also through the middle of a character; the last line needs no end."""
    for start in range(0, len(STREAM), size):
        run.tap(STREAM[start : start + size])
    run.conclude(FINE)
    assert told(tmp_path) == TOLD
    assert run.end.final_text == "the end"


def test_a_line_without_end_is_left_out(run, tmp_path):
    """Nothing a program prints can exhaust memory; what follows is read."""
    run.tap(b'{"say": "one"}\n')
    for _ in range(LINE_BYTES // 2**20 + 1):
        run.tap(b"x" * 2**20)
    run.tap(b'"}\n{"say": "two"}\n')
    run.conclude(FINE)
    assert told(tmp_path) == "one\ntwo\n"


def test_the_transcript_has_a_bound(run, tmp_path):
    line = b'{"say": "' + b"y" * 2**20 + b'"}\n'
    for _ in range(TRANSCRIPT_BYTES // 2**20 + 2):
        run.tap(line)
    assert len(told(tmp_path)) == TRANSCRIPT_BYTES


def test_what_it_tells_is_cleaned_and_holds_no_secret(run, tmp_path):
    run.tap(b'{"say": "\\u001b[31mred\\u202e ' + SECRET.encode() + b'"}\n')
    assert told(tmp_path) == "red [redacted]\n"


def test_long_results_are_cut(run, tmp_path):
    run.tap(b'{"result": "' + b"line\\n" * 25 + b'"}\n')
    assert told(tmp_path).endswith("  line\n  … 5 more lines\n")


def test_a_driver_that_fails_is_a_warning(run, tmp_path):
    """Once; the attempt goes on, and its evidence counts."""
    run.tap(b'{"break": 1}\n{"say": "on"}\n{"break": 1}\n')
    run.conclude(FINE)
    assert run.warnings == ["What d printed could not be read: RuntimeError('a bug')."]
    assert told(tmp_path) == "on\n"
    assert run.end.final_text == "on"


@pytest.mark.parametrize(("sums", "tokens"), [(False, 15), (True, 10)])
def test_tokens_of_a_session_are_counted_once(tmp_path, sums, tokens):
    driver = Driver(AgentDef(name="d", kind="d"))
    driver.capabilities = Capabilities(sums=sums)
    run = AgentRun(driver, transcript=tmp_path / "log", redactor=Redactor())  # type: ignore[arg-type]
    for used in (5, 10):
        run.tap(b'{"used": %d}\n' % used)
        run.conclude(FINE)
    assert run.end.usage is not None
    assert run.end.usage.tokens == tokens


def told_end(kind: ExitKind | None = None, *, failed: bool = True) -> StreamEnd:
    return StreamEnd(exit_kind=kind, failed=failed, detail="So it was.", retry_at=7.0 if kind else None)


def ended(kind: EndKind) -> ProcessEnd:
    return ProcessEnd(kind=kind)


SO = "So it was."


@pytest.mark.parametrize(
    ("end", "told", "has_report", "was_stopped", "wanted"),
    [
        (FINE, None, False, False, (ExitKind.EXITED, 0, "")),
        (FINE, told_end(failed=False), False, False, (ExitKind.EXITED, 0, "")),
        (FINE, told_end(ExitKind.RATE_LIMITED), False, False, (ExitKind.RATE_LIMITED, 0, SO)),
        (FINE, told_end(ExitKind.RATE_LIMITED), True, False, (ExitKind.EXITED, 0, "")),
        (FINE, told_end(), False, False, (ExitKind.EXITED, 1, f"{SO} It ended with exit code 0 all the same.")),
        (ProcessEnd(kind=EndKind.EXITED, code=3), told_end(), False, False, (ExitKind.EXITED, 3, "")),
        (ended(EndKind.STALL), told_end(ExitKind.RATE_LIMITED), False, False, (ExitKind.RATE_LIMITED, None, SO)),
        (ended(EndKind.STALL), told_end(ExitKind.ENV_MISSING), False, False, (ExitKind.STALL, None, "")),
        (ended(EndKind.TIMEOUT), told_end(ExitKind.PROVIDER_DOWN), True, False, (ExitKind.TIMEOUT, None, "")),
        (ended(EndKind.CANCELLED), told_end(ExitKind.OVER_BUDGET), True, True, (ExitKind.OVER_BUDGET, None, SO)),
        (ended(EndKind.CANCELLED), told_end(ExitKind.OVER_BUDGET), False, False, (ExitKind.CANCELLED, None, "")),
        (ended(EndKind.LINGERED), told_end(), True, False, (ExitKind.REPORTED, None, "")),
        (ended(EndKind.OVER_DISK), told_end(), False, False, (ExitKind.OVER_BUDGET, None, "")),
    ],
)
def test_how_an_attempt_ended(end, told, has_report, was_stopped, wanted):
    """I6: evidence first, then the stream, then the process."""
    found = exit_of(end, told, has_report=has_report, was_stopped=was_stopped)
    assert (found.kind, found.code, found.detail) == wanted
    assert (found.retry_at is not None) == (found.detail == "So it was.")
