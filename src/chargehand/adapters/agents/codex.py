"""Codex (`codex exec`), written against 0.169.

It is told everything on its command line: `--ignore-user-config` and `--ignore-rules` keep configuration and rules of
others out, `project_doc_max_bytes=0` what the repository wants to tell it beside the brief. Its own sandbox is off
(`danger-full-access`): inside ours it cannot make another that lets it commit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from chargehand.adapters.agents.stream import Doc, JsonReader, ProgramAgent, brief_input, count, mapping, text, words
from chargehand.adapters.guarding.configs import codex_hooks
from chargehand.dialects import Dialect
from chargehand.ports import AgentEvent, AttemptSpec, Capabilities, EventKind, Launch, ModelUsage, Places

__all__ = ["CodexAgent", "CodexReader"]

_QUIET = (
    *("check_for_update_on_startup=false", "analytics.enabled=false", "history.persistence='none'"),
    "features.apps=false",
)
_UNMETERED = ("web_search='disabled'", "features.image_generation=false")
"""Tools that its provider runs, offered with every request: the meter lets none of them through."""
_KEY = "CODEX_PROVIDER_KEY"
_RETRIES = 3  # each is waited for in silence; longer waits are for the runtime
_WARNING = re.compile(r"^Reconnecting\.\.\. \d+/\d+")


class CodexAgent(ProgramAgent):
    """Implements `ports.StreamAgent`."""

    default = "codex"
    install = "npm install -g @openai/codex"
    capabilities = Capabilities(
        dialect=Dialect.RESPONSES,
        resume=True,
        sums=True,
        calls=True,
        tokens=True,
        hook="codex",
        login=(".codex/auth.json",),
    )

    def launch(self, spec: AttemptSpec, places: Places) -> Launch:
        """One conversation, its brief on standard input."""
        endpoint = self.endpoint(places)
        env, keys = endpoint.variables(_KEY) if endpoint.base_url else endpoint.variables("CODEX_API_KEY")
        settings = [*_QUIET, *(_UNMETERED if places.meter else ())]
        if endpoint.base_url:
            settings += _provider(f"{endpoint.base_url}/v1", with_key=bool(env or keys))
        options = (
            *("--json", "--skip-git-repo-check", "--ignore-user-config", "-s", "danger-full-access"),
            *(() if self.definition.project_config else ("--ignore-rules", "-c", "project_doc_max_bytes=0")),
            *(word for setting in settings for word in ("-c", setting)),
            *(("--dangerously-bypass-hook-trust",) if places.hook else ()),
            *words(("-m", self.model(spec))),
            *self.definition.args,
        )
        home = dict([codex_hooks(places.hook)]) if places.hook else {}
        resumed = ("resume", spec.session) if spec.session else ()
        argv = (*self.program, "exec", *options, *resumed, "-")
        return Launch(argv=argv, env=env, stdin=brief_input(spec), keys=keys, home=home)

    def reader(self) -> CodexReader:
        """A reader for one process."""
        return CodexReader()


def _provider(base_url: str, *, with_key: bool) -> Iterator[str]:
    """A provider of our own, as TOML."""
    yield "model_provider='chargehand'"
    values = {
        "name": "chargehand",
        "base_url": base_url,
        "wire_api": "responses",
        "request_max_retries": _RETRIES,
        "stream_max_retries": _RETRIES,
    }
    if with_key:
        values["env_key"] = _KEY
    for name, value in values.items():
        yield f"model_providers.chargehand.{name}={json.dumps(value)}"


class CodexReader(JsonReader):
    """Reads `exec --json`."""

    def read(self, doc: Doc) -> Iterator[AgentEvent]:
        """What one object tells. An `error` may be one that it gets over: the turn says whether it failed."""
        match doc.get("type"):
            case "thread.started":
                self.session = text(doc, "thread_id")
                yield AgentEvent(kind=EventKind.STARTED)
            case "item.started":
                yield from self._called(mapping(doc, "item"))
            case "item.completed":
                yield from self._done(mapping(doc, "item"))
            case "error":
                said = text(doc, "message")
                kind = EventKind.RETRY if _WARNING.match(said) else EventKind.ERROR
                yield AgentEvent(kind=kind, text=said)
            case "turn.failed":
                yield self.complain(text(doc, "error", "message"))
            case "turn.completed":
                self.usage = ModelUsage(
                    input_tokens=count(doc, "usage", "input_tokens"),
                    cached_tokens=count(doc, "usage", "cached_input_tokens"),
                    output_tokens=count(doc, "usage", "output_tokens"),
                )
            case _:
                return

    def _called(self, item: Doc) -> Iterator[AgentEvent]:
        kind, given = text(item, "type"), _given(item)
        if kind not in {"agent_message", "reasoning", "error"} and kind:
            yield AgentEvent(kind=EventKind.CALL, text=given, tool=kind, call=text(item, "id"))

    def _done(self, item: Doc) -> Iterator[AgentEvent]:
        kind = text(item, "type")
        if kind == "agent_message":
            self.final = text(item, "text")
            yield AgentEvent(kind=EventKind.TEXT, text=self.final)
        elif kind == "command_execution" and item.get("status") == "declined":
            yield self.denied(kind, _given(item), text(item, "id"))
        elif kind not in {"reasoning", "error", "todo_list", ""}:
            said = text(item, "aggregated_output") or _given(item)
            failed = item.get("status") == "failed"
            yield AgentEvent(kind=EventKind.RESULT, text=said, tool=kind, call=text(item, "id"), failed=failed)


def _given(item: Doc) -> str:
    changes = item.get("changes")
    if isinstance(changes, list):
        return ", ".join(text(change, "path") for change in changes)
    return text(item, "command") or text(item, "tool") or text(item, "query")
