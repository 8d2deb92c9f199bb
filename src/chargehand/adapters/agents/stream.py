"""What the drivers of agent programs have in common: their place in a launch, and reading lines of JSON.

Everything a program prints is untrusted: any line may be anything. The accessors here answer with an empty value for
what has another shape, so a reader built from them cannot fail.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chargehand.adapters.agents.program import program_words, why_missing
from chargehand.dialects import retry_at
from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import ExitKind
from chargehand.ports import (
    AgentEvent,
    AttemptSpec,
    Capabilities,
    EventKind,
    EventReader,
    ModelUsage,
    Places,
    StreamEnd,
)

__all__ = [
    "Doc",
    "Endpoint",
    "JsonReader",
    "ProgramAgent",
    "Trouble",
    "brief_input",
    "count",
    "flatten",
    "items",
    "mapping",
    "summary",
    "text",
    "trouble_of",
]

Doc = Mapping[str, Any]

MOST_CHARS = 1024 * 1024
MOST_DENIALS = 100
SUMMARY_CHARS = 400


# -- values of any shape --------------------------------------------------------------------------


def mapping(doc: Any, *path: str) -> Doc:
    """The object at `path`, or an empty one."""
    for key in path:
        doc = doc.get(key) if isinstance(doc, dict) else None
    return doc if isinstance(doc, dict) else {}


def text(doc: Any, *path: str) -> str:
    """The text at `path`, or an empty one."""
    found = mapping(doc, *path[:-1]).get(path[-1]) if path else doc
    return found if isinstance(found, str) else ""


def count(doc: Any, *path: str) -> int:
    """The number at `path` as a whole one that is not negative, or 0."""
    found = mapping(doc, *path[:-1]).get(path[-1])
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1e15:
        return 0
    return int(found)


def items(doc: Any, *path: str) -> list[Any]:
    """The list at `path`, or an empty one."""
    found = mapping(doc, *path[:-1]).get(path[-1])
    return found if isinstance(found, list) else []


def flatten(content: Any) -> str:
    """The text of a message's content: a text, or a list of parts of which some are texts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(filter(None, (text(part, "text") for part in parts)))


_TELLING = ("command", "cmd", "file_path", "filePath", "path", "pattern", "query", "url", "prompt", "description")


def summary(given: Any) -> str:
    """What a tool is called with, in a few words: its command, its path, or the beginning of it all."""
    if isinstance(given, dict):
        for key in _TELLING:
            value = given.get(key)
            if isinstance(value, list) and all(isinstance(word, str) for word in value):
                value = " ".join(value)
            if isinstance(value, str) and value.strip():
                return value[:SUMMARY_CHARS]
    try:
        return "" if given in (None, "", {}) else json.dumps(given, ensure_ascii=False)[:SUMMARY_CHARS]
    except (ValueError, RecursionError):
        return ""


# -- what went wrong ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A failure the program tells of: what it means for the attempt (None: just a failure), and in words."""

    kind: ExitKind | None
    detail: str
    retry_at: float | None = None


_STATUS = re.compile(
    r"(?i:\b(?:status(?: code)?|code|HTTP|Error|rejected)\D{0,6}\b)([45]\d\d)\b|\b([45]\d\d) [A-Z][a-z]"
)
_LOGIN = re.compile(
    r"invalid (?:x-)?api[- ]key|incorrect api key|authentication|unauthori[sz]ed|unauthenticated|not logged in"
    r"|log ?in again|/login|permission[_ ]denied|api key not valid|missing.{0,20}api key|credentials",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"rate.?limit|too many requests|quota|resource.?exhausted|usage limit|limit reached|insufficient (?:funds|credit)"
    r"|credit balance|billing",
    re.IGNORECASE,
)
_DOWN = re.compile(
    r"overloaded|internal ?server ?error|bad ?gateway|service ?unavailable|gateway time|high demand|temporarily"
    r"|connection ?(?:to .{0,40} was lost|refused|reset|error|failed)|connect ?error|ECONN|ENOTFOUND|ETIMEDOUT"
    r"|stream (?:disconnected|closed|ended)|error decoding response|network error|server error|timed out|fetch failed",
    re.IGNORECASE,
)


def trouble_of(said: str, status: int = 0, now: float | None = None) -> Trouble:
    """What a program's complaint means; `status` is the provider's answer where it is told (0: look for it in `said`).

    Only for what the program itself says, never for words of its model.
    """
    said = " ".join(said.split())[:1_000].rstrip(".")
    found = _STATUS.search(said)
    status = status or (int(found[1] or found[2]) if found else 0)
    if status in {402, 429} or (status not in {401, 403} and _QUOTA.search(said)):
        stated = retry_at({}, said.encode("utf-8", "replace"), time.time() if now is None else now)
        return Trouble(kind=ExitKind.RATE_LIMITED, detail=f"The provider asks to wait: {said}.", retry_at=stated)
    if status in {401, 403} or (not status and _LOGIN.search(said)):
        hint = "Look at `key` and `login` under [agents.NAME]; `chargehand agents` shows what is set."
        return Trouble(kind=ExitKind.ENV_MISSING, detail=f"The provider refused the login: {said}. {hint}")
    if status >= 500 or (not status and _DOWN.search(said)):
        return Trouble(kind=ExitKind.PROVIDER_DOWN, detail=f"The provider does not answer as it should: {said}.")
    return Trouble(kind=None, detail=f"The agent gave up: {said}.")


# -- readers --------------------------------------------------------------------------------------


class JsonReader:
    """An `EventReader` for programs that print one JSON object a line; a subclass says what an object tells.

    `read` sets what `conclude` answers with as it goes. Lines that are no objects tell nothing.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.session = ""
        self.model = ""
        self.mode = ""
        self.final = ""
        self.usage: ModelUsage | None = None
        self.trouble: Trouble | None = None
        self.denials: list[str] = []

    def feed(self, line: str) -> Sequence[AgentEvent]:
        """What one line tells."""
        try:
            doc = json.loads(line)
        except (ValueError, RecursionError):
            return ()
        return tuple(self.read(doc)) if isinstance(doc, dict) else ()

    def read(self, doc: Doc) -> Iterable[AgentEvent]:
        """What one object tells; to be given by the subclass."""
        raise NotImplementedError

    def conclude(self, code: int | None, signal: int | None) -> StreamEnd:
        """What it all came to."""
        del code, signal
        trouble = self.trouble
        return StreamEnd(
            final_text=self.final[-MOST_CHARS:],
            session=self.session[:200],
            model=self.model[:200],
            mode=self.mode[:200],
            usage=self.usage,
            exit_kind=trouble.kind if trouble else None,
            retry_at=trouble.retry_at if trouble else None,
            failed=trouble is not None,
            detail=trouble.detail if trouble else "",
            denials=tuple(self.denials),
        )

    # -- for subclasses

    def complain(self, said: str, status: int = 0) -> AgentEvent:
        """Note a failure that ended the work."""
        self.trouble = trouble_of(said, status, self.clock())
        return AgentEvent(kind=EventKind.ERROR, text=said)

    def over_budget(self, said: str) -> AgentEvent:
        """Note that a limit of the program's own was reached."""
        self.trouble = Trouble(kind=ExitKind.OVER_BUDGET, detail=said)
        return AgentEvent(kind=EventKind.ERROR, text=said)

    def denied(self, tool: str, given: str, call: str = "") -> AgentEvent:
        """Note a tool call that was refused."""
        if len(self.denials) < MOST_DENIALS:
            self.denials.append(f"{tool}: {given}")
        return AgentEvent(kind=EventKind.DENIED, text=given, tool=tool, call=call)


# -- launches -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where an attempt finds its provider: `base_url` (empty: where the program looks by itself), and its key.

    `token` is the key itself when it is one of the meter's; `key` the name of the variable that holds the real one.
    """

    base_url: str = ""
    token: str = ""
    key: str = ""

    def variables(self, name: str) -> tuple[dict[str, str], dict[str, str]]:
        """`env` and `keys` of a `Launch` that put the key into the variable `name`."""
        return ({name: self.token} if self.token else {}), ({name: self.key} if self.key else {})


def brief_input(spec: AttemptSpec) -> bytes:
    """The brief as standard input."""
    return spec.brief.encode("utf-8", "replace")


class ProgramAgent:
    """What every driver has: name, program, provider. A driver is a subclass with `launch` and `reader`."""

    default = ""
    install = ""
    capabilities = Capabilities()

    def __init__(self, definition: AgentDef) -> None:
        self.name = definition.name
        self.definition = definition
        self.program = program_words(definition, self.default)

    def missing(self) -> str:
        """Why the program cannot be run, and how it is installed."""
        why = why_missing(self.program[0])
        return f"{why} `{self.install}` installs it." if why and self.install and not self.definition.command else why

    def reader(self) -> EventReader:
        """A reader for one process; to be given by the subclass."""
        raise NotImplementedError

    # -- for subclasses

    def endpoint(self, places: Places) -> Endpoint:
        """Through the meter where there is one, else directly."""
        if places.meter is not None:
            return Endpoint(base_url=places.meter.base_url, token=places.meter.token)
        key = self.definition.key.removeprefix("env:")
        return Endpoint(base_url=self.definition.base_url, key=key)

    def refuse_config(self, places: Places, *names: str) -> None:
        """`UserError` when the workspace holds configuration that the program would obey, and nobody allowed it.

        For programs that cannot be told to leave it alone (SPEC 7.4).
        """
        found = [name for name in names if os.path.lexists(places.workspace / name)]
        if found and not self.definition.project_config:
            raise UserError(
                f"The repository holds {found[0]}, which the program of agent {self.name} would obey.",
                code="project_config",
                hint=f"Look at it; `project_config = true` under [agents.{self.name}] allows it.",
            )

    def model(self, spec: AttemptSpec) -> str:
        """The model that the task asks for, else the agent's; empty: the program's own."""
        return spec.model or self.definition.model or ""

    def turns(self, spec: AttemptSpec) -> int | None:
        """How many model turns it may take."""
        return spec.turns or self.definition.turns


def words(*pairs: tuple[str, object]) -> Iterator[str]:
    """Options with a value: those whose value is None or empty are left out."""
    for option, value in pairs:
        if value not in (None, ""):
            yield from (option, str(value))
