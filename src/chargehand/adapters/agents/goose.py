"""Goose (`goose run`), written against 1.52.

It is told everything by variables; only the tools for developers are loaded (`--no-profile`), and no hints of the
repository (`CONTEXT_FILE_NAMES`). It asks nobody (`GOOSE_MODE=auto`): the sandbox around it is the fence. It ends with
exit code 0 and a last message when its provider refused: the message says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from chargehand.adapters.agents.stream import (
    Doc,
    JsonReader,
    ProgramAgent,
    brief_input,
    count,
    flatten,
    items,
    mapping,
    summary,
    text,
    words,
)
from chargehand.dialects import Dialect
from chargehand.ports import AgentEvent, AttemptSpec, Capabilities, EventKind, Launch, ModelUsage, Places

__all__ = ["GooseAgent", "GooseReader"]

_QUIET = {
    "GOOSE_MODE": "auto",
    "GOOSE_DISABLE_KEYRING": "1",
    "GOOSE_TELEMETRY_ENABLED": "false",
    "GOOSE_DISABLE_SESSION_NAMING": "true",
    "GOOSE_PROVIDER_SKIP_BACKOFF": "true",
    "CONTEXT_FILE_NAMES": "[]",
}
_COMPLAINT = "Ran into this error: "
_AFTER = "\n\nPlease retry if you think"
_TURNS = "I've reached the maximum number of actions"


class GooseAgent(ProgramAgent):
    """Implements `ports.StreamAgent`. Without a provider of ours it takes the one of its kept HOME."""

    default = "goose"
    install = "npm install -g @aaif/goose-binary-linux-x64"
    capabilities = Capabilities(dialect=Dialect.CHAT, resume=True, sums=True, turns=True, calls=True, tokens=True)

    def launch(self, spec: AttemptSpec, places: Places) -> Launch:
        """One conversation, its brief on standard input; the session has the name of the attempt."""
        endpoint = self.endpoint(places)
        env, keys = endpoint.variables("OPENAI_API_KEY")
        if endpoint.base_url:
            where = urlsplit(endpoint.base_url)
            path = f"{where.path}/v1/chat/completions".lstrip("/")
            env |= {
                "GOOSE_PROVIDER": "openai",
                "OPENAI_HOST": f"{where.scheme}://{where.netloc}",
                "OPENAI_BASE_PATH": path,
            }
        elif env or keys:
            env["GOOSE_PROVIDER"] = "openai"
        if model := self.model(spec):
            env["GOOSE_MODEL"] = model
        session = spec.session or f"{spec.run}-{spec.task}-{spec.attempt}"
        argv = (
            *self.program,
            *("run", "--quiet", "--output-format", "stream-json", "--no-profile", "--with-builtin", "developer"),
            *(("--resume",) if spec.session else ()),
            *("--name", session),
            *words(("--max-turns", self.turns(spec))),
            *self.definition.args,
            *("-i", "-"),
        )
        return Launch(argv=argv, env=_QUIET | env, stdin=brief_input(spec), keys=keys, session=session)

    def reader(self) -> GooseReader:
        """A reader for one process."""
        return GooseReader()


class GooseReader(JsonReader):
    """Reads `run --output-format stream-json`. A message comes in pieces that share an id."""

    def __init__(self) -> None:
        super().__init__()
        self._speaks = ""

    def read(self, doc: Doc) -> Iterator[AgentEvent]:
        """What one object tells."""
        match doc.get("type"):
            case "message":
                message = mapping(doc, "message")
                self.model = text(message, "metadata", "inference", "requestedModel") or self.model
                for part in items(message, "content"):
                    yield from self._part(part, text(message, "id"), text(message, "role"))
            case "error":
                if self.trouble is None:
                    yield self._complained(text(doc, "error"))
            case "complete":
                self.usage = ModelUsage(
                    input_tokens=count(doc, "input_tokens"),
                    cached_tokens=count(doc, "cache_read_input_tokens"),
                    output_tokens=count(doc, "output_tokens"),
                )
            case _:
                return

    def _part(self, part: Doc, message: str, role: str) -> Iterator[AgentEvent]:
        match text(part, "type"):
            case "text" if role == "assistant":
                yield from self._said(text(part, "text"), message)
            case "toolRequest":
                value = mapping(part, "toolCall", "value")
                given = summary(mapping(value, "arguments"))
                yield AgentEvent(kind=EventKind.CALL, text=given, tool=text(value, "name"), call=text(part, "id"))
            case "toolResponse":
                result = mapping(part, "toolResult")
                value = mapping(result, "value")
                failed = text(result, "status") != "success" or value.get("isError") is True
                said = flatten(value.get("content")) or text(result, "error")
                yield AgentEvent(kind=EventKind.RESULT, text=said, call=text(part, "id"), failed=failed)
            case "error":
                yield self._complained(text(part, "message"))
            case _:
                return

    def _said(self, said: str, message: str) -> Iterator[AgentEvent]:
        if said.startswith(_COMPLAINT):
            yield self._complained(said)
        elif said.startswith(_TURNS):
            yield self.over_budget("The agent reached its limit of turns.")
        elif said:
            self.final = (self.final if self._speaks == message else "") + said
            self._speaks = message
            yield AgentEvent(kind=EventKind.TEXT, text=said)

    def _complained(self, said: str) -> AgentEvent:
        return self.complain(said.removeprefix(_COMPLAINT).partition(_AFTER)[0])
