"""Aider (`aider --message-file`), written against 0.86.

It edits files by blocks of text in its model's answer, has no tools, and tells what it does in prose: there are no
events but lines. It makes no commits, which would each ask its model for a message: the runtime seals what is there.
Nothing keeps configuration of the repository out, so a repository that has any is refused unless it is allowed. A list
of prices that it would fetch is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from chargehand.adapters.agents.stream import ProgramAgent, Trouble, trouble_of, words
from chargehand.dialects import Dialect
from chargehand.domain.outcome import LOOKERS
from chargehand.ports import AgentEvent, AttemptSpec, Capabilities, EventKind, Launch, ModelUsage, Places, StreamEnd

__all__ = ["AiderAgent", "AiderReader"]

_PRICES = ".aider/caches/model_prices_and_context_window.json"
_QUIET = (
    *("--yes-always", "--no-analytics", "--no-check-update", "--no-show-model-warnings", "--no-show-release-notes"),
    *("--no-pretty", "--no-gitignore", "--no-suggest-shell-commands", "--no-detect-urls", "--no-fancy-input"),
    *(
        "--no-auto-commits",
        "--no-dirty-commits",
        "--no-auto-lint",
        "--no-auto-test",
        "--edit-format",
        "diff",
        "--map-tokens",
        "0",
    ),
)
_OBEYED = (".aider.conf.yml", ".aider.model.settings.yml", ".aider.model.metadata.json", ".env")
MOST_LINES = 20_000
MOST_FILES = 100


class AiderAgent(ProgramAgent):
    """Implements `ports.StreamAgent`."""

    default = "aider"
    install = "pip install aider-chat"
    capabilities = Capabilities(dialect=Dialect.CHAT, tokens=True)

    def launch(self, spec: AttemptSpec, places: Places) -> Launch:
        """One message, the brief, read from its file."""
        self.refuse_config(places, *_OBEYED)
        endpoint = self.endpoint(places)
        env, keys = endpoint.variables("OPENAI_API_KEY")
        model = self.model(spec)
        if endpoint.base_url and model:
            model = f"openai/{model.removeprefix('openai/')}"
        history = places.home / ".aider"
        argv = (
            *self.program,
            *("--message-file", str(places.brief)),
            *("--input-history-file", str(history / "input"), "--chat-history-file", str(history / "chat.md")),
            *_QUIET,
            *(("--dry-run",) if spec.role in LOOKERS else ()),
            *_files("--file", spec.declared, places),
            *_files("--read", spec.reads, places),
            *words(
                ("--model", model),
                ("--openai-api-base", f"{endpoint.base_url}/v1" if endpoint.base_url else ""),
            ),
            *self.definition.args,
        )
        env["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        return Launch(argv=argv, env=env, stdin=b"", keys=keys, home={_PRICES: '{"none": {}}\n'})

    def reader(self) -> AiderReader:
        """A reader for one process."""
        return AiderReader()


def _files(option: str, paths: Sequence[str], places: Places) -> Iterator[str]:
    """The files of the task that are there: what is not in its conversation it first has to ask for."""
    for path in paths[:MOST_FILES]:
        file = places.workspace / path
        if file.is_file() and not file.is_symlink():
            yield from (option, path)


_NUMBER = r"(\d+(?:\.\d+)?[km]?)"
_TOKENS = re.compile(
    rf"^Tokens: {_NUMBER} sent(?:, {_NUMBER} cache write)?(?:, {_NUMBER} cache hit)?, {_NUMBER} received"
)
_MODEL = re.compile(r"^(?:Main )?[Mm]odel: (\S+)")
_EDITED = re.compile(r"^(?:Applied edit to|Creating empty file|Commit [0-9a-f]{7,}|Added) ?.*")
_FAILED = re.compile(r"^litellm\.(\w+): ?(.*)")
_AGAIN = re.compile(r"^Retrying in [\d.]+ seconds")


class AiderReader:
    """Reads its prose: the lines that begin in a known way, and the whole as the last message."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._model = ""
        self._usage: ModelUsage | None = None
        self._trouble: Trouble | None = None
        self._edited = False

    def feed(self, line: str) -> Sequence[AgentEvent]:
        """What one line tells."""
        if len(self._lines) < MOST_LINES:
            self._lines.append(line)
        if found := _MODEL.match(line):
            self._model = found[1].removeprefix("openai/")
            return (AgentEvent(kind=EventKind.STARTED, text=self._model),)
        if found := _TOKENS.match(line):
            return (self._spent(found),)
        if found := _FAILED.match(line):
            self._trouble = trouble_of(line)
            return (AgentEvent(kind=EventKind.ERROR, text=line),)
        if _AGAIN.match(line):
            return (AgentEvent(kind=EventKind.RETRY, text=line),)
        if _EDITED.match(line):
            return (AgentEvent(kind=EventKind.RESULT, text=line),)
        return (AgentEvent(kind=EventKind.TEXT, text=line),) if line.strip() else ()

    def _spent(self, found: re.Match[str]) -> AgentEvent:
        """An answer came: whatever failed before is over. The money it tells is a guess by name, and left out."""
        self._trouble = None
        before = self._usage or ModelUsage()
        written, cached = _amount(found[2]), _amount(found[3])
        self._usage = ModelUsage(
            input_tokens=before.input_tokens + _amount(found[1]) + written + cached,
            cached_tokens=before.cached_tokens + cached,
            output_tokens=before.output_tokens + _amount(found[4]),
        )
        return AgentEvent(kind=EventKind.USED, usage=self._usage)

    def conclude(self, code: int | None, signal: int | None) -> StreamEnd:
        """What it all came to. It ends with exit code 0 whatever happened."""
        del code, signal
        trouble = self._trouble
        return StreamEnd(
            final_text="\n".join(self._lines),
            model=self._model,
            usage=self._usage,
            exit_kind=trouble.kind if trouble else None,
            retry_at=trouble.retry_at if trouble else None,
            failed=trouble is not None,
            detail=trouble.detail if trouble else "",
        )


def _amount(said: str | None) -> int:
    """`950`, `1.2k`, `3m`."""
    if not said:
        return 0
    return round(float(said.rstrip("km")) * {"k": 1_000, "m": 1_000_000}.get(said[-1], 1))
