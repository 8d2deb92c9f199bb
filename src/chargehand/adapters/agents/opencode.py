"""OpenCode (`opencode run`), written against 1.18.

Its configuration is a file below HOME that names one provider; that of the repository is not read
(`OPENCODE_DISABLE_PROJECT_CONFIG`). It is allowed everything: the sandbox around it is the fence. It prints a step
only when the step is over, and nothing at the end: its exit says that it is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from chargehand.adapters.agents.stream import (
    Doc,
    JsonReader,
    ProgramAgent,
    brief_input,
    count,
    mapping,
    summary,
    text,
    words,
)
from chargehand.adapters.guarding.configs import opencode_permission
from chargehand.dialects import Dialect
from chargehand.domain.outcome import LOOKERS
from chargehand.ports import AgentEvent, AttemptSpec, Capabilities, EventKind, Launch, ModelUsage, Places

__all__ = ["OpenCodeAgent", "OpenCodeReader"]

_CONFIG = ".config/chargehand/opencode.json"
_PROVIDER = "chargehand"
_KEY = "OPENCODE_PROVIDER_KEY"
_QUIET = {
    f"OPENCODE_DISABLE_{name}": "1"
    for name in (
        *("PROJECT_CONFIG", "AUTOUPDATE", "MODELS_FETCH", "DEFAULT_PLUGINS", "LSP_DOWNLOAD", "SHARE"),
        *("CLAUDE_CODE", "EXTERNAL_SKILLS"),
    )
}
_LIMIT = {"context": 200_000, "output": 32_000}


class OpenCodeAgent(ProgramAgent):
    """Implements `ports.StreamAgent`. Without a provider of ours, the model is `provider/model` of its own."""

    default = "opencode"
    install = "npm install -g opencode-ai"
    capabilities = Capabilities(
        dialect=Dialect.CHAT,
        resume=True,
        calls=True,
        tokens=True,
        cost=True,
        login=(".local/share/opencode/auth.json",),
    )

    def launch(self, spec: AttemptSpec, places: Places) -> Launch:
        """One conversation, its brief on standard input."""
        endpoint = self.endpoint(places)
        env, keys = endpoint.variables(_KEY)
        model = self.model(spec)
        permission = opencode_permission() | ({"edit": "deny"} if spec.role in LOOKERS else {})
        config: dict[str, Any] = {"autoupdate": False, "share": "disabled", "permission": permission}
        if endpoint.base_url:
            given = {"baseURL": f"{endpoint.base_url}/v1", "apiKey": f"{{env:{_KEY}}}"}
            name = model or "model"
            provider = {"npm": "@ai-sdk/openai-compatible", "options": given, "models": {name: {"limit": _LIMIT}}}
            model = f"{_PROVIDER}/{name}"
            config |= {"provider": {_PROVIDER: provider}, "enabled_providers": [_PROVIDER], "small_model": model}
        config |= {"model": model} if model else {}
        argv = (
            *self.program,
            *("run", "--format", "json"),
            *words(("--model", model), ("--session", spec.session)),
            *self.definition.args,
        )
        quiet = dict(_QUIET)
        if self.definition.project_config:
            del quiet["OPENCODE_DISABLE_PROJECT_CONFIG"]
        env |= quiet | {"OPENCODE_CONFIG": str(places.home / _CONFIG)}
        return Launch(
            argv=argv, env=env, stdin=brief_input(spec), keys=keys, home={_CONFIG: json.dumps(config, indent=2)}
        )

    def reader(self) -> OpenCodeReader:
        """A reader for one process."""
        return OpenCodeReader()


class OpenCodeReader(JsonReader):
    """Reads `run --format json`."""

    def read(self, doc: Doc) -> Iterator[AgentEvent]:
        """What one object tells. A tool call and its result come in one."""
        if not self.session and text(doc, "sessionID"):
            self.session = text(doc, "sessionID")
            yield AgentEvent(kind=EventKind.STARTED)
        part = mapping(doc, "part")
        match doc.get("type"):
            case "text":
                self.final = text(part, "text")
                yield AgentEvent(kind=EventKind.TEXT, text=self.final)
            case "tool_use":
                yield from self._tool(part)
            case "step_finish":
                yield self._spent(part)
            case "error":
                error = mapping(doc, "error")
                said = text(error, "data", "message") or text(error, "name")
                yield self.complain(said, count(error, "data", "statusCode"))
            case _:
                return

    def _tool(self, part: Doc) -> Iterator[AgentEvent]:
        state = mapping(part, "state")
        tool, call, given = text(part, "tool"), text(part, "callID"), summary(mapping(state, "input"))
        yield AgentEvent(kind=EventKind.CALL, text=given, tool=tool, call=call)
        said = text(state, "output") or text(state, "error")
        if "rejected permission" in text(state, "error") or "prevents you from using" in text(state, "error"):
            yield self.denied(tool, given, call)
            return
        failed = state.get("status") == "error" or count(state, "metadata", "exit") != 0
        yield AgentEvent(kind=EventKind.RESULT, text=said, tool=tool, call=call, failed=failed)

    def _spent(self, part: Doc) -> AgentEvent:
        """Each step tells its own; those of the cache are not among its input. No price is told as no cost."""
        before = self.usage or ModelUsage()
        cached = count(part, "tokens", "cache", "read")
        cost = part.get("cost")
        self.usage = ModelUsage(
            input_tokens=before.input_tokens
            + count(part, "tokens", "input")
            + count(part, "tokens", "cache", "write")
            + cached,
            cached_tokens=before.cached_tokens + cached,
            output_tokens=before.output_tokens + count(part, "tokens", "output") + count(part, "tokens", "reasoning"),
            usd=(before.usd or 0.0) + (float(cost) if isinstance(cost, int | float) and 0 < cost < 1e9 else 0.0)
            or None,
        )
        return AgentEvent(kind=EventKind.USED, usage=self.usage)
