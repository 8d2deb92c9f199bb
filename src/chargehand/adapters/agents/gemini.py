"""Gemini CLI (`gemini`), written against 0.61.

It works by itself only where it trusts the workspace, and then obeys what the repository says in `.gemini`: nothing on
its command line keeps hooks and tools of it out, so a repository that has any is refused unless they are allowed. It
reads `GEMINI.md` in any case, which is text and no configuration. It approves everything itself (`yolo`): the sandbox
around it is the fence. It is kept from starting itself a second time, so that the process we hold is the one that
works.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

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
from chargehand.adapters.guarding.configs import gemini_settings
from chargehand.dialects import Dialect
from chargehand.ports import AgentEvent, AttemptSpec, Capabilities, EventKind, Launch, ModelUsage, Places

__all__ = ["GeminiAgent", "GeminiReader"]

_FILE = ".gemini/settings.json"
_NONE = "none-at-all"
_QUIET = {"GEMINI_CLI_NO_RELAUNCH": "true"}
_SETTINGS = {
    "general": {"enableAutoUpdate": False, "disableAutoUpdate": True, "maxAttempts": 3},  # ten would be minutes
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "skills": {"enabled": False},
}


class GeminiAgent(ProgramAgent):
    """Implements `ports.StreamAgent`."""

    default = "gemini"
    install = "npm install -g @google/gemini-cli"
    capabilities = Capabilities(
        dialect=Dialect.GEMINI,
        resume=True,
        turns=True,
        calls=True,
        tokens=True,
        hook="gemini",
        login=(".gemini/oauth_creds.json", ".gemini/google_accounts.json"),
    )

    def launch(self, spec: AttemptSpec, places: Places) -> Launch:
        """One conversation, its brief on standard input."""
        self.refuse_config(places, ".gemini", ".env")
        endpoint = self.endpoint(places)
        env, keys = endpoint.variables("GEMINI_API_KEY")
        if endpoint.base_url:
            env["GOOGLE_GEMINI_BASE_URL"] = endpoint.base_url
        kind = "gemini-api-key" if env or keys else "oauth-personal"
        settings = {**_SETTINGS, "security": {"auth": {"selectedType": kind}}}
        if turns := self.turns(spec):
            settings["model"] = {"maxSessionTurns": turns}
        argv = (
            *self.program,
            *("--output-format", "stream-json", "--approval-mode", "yolo", "--skip-trust"),
            *("--extensions", _NONE, "--allowed-mcp-server-names", _NONE),
            *words(("--model", self.model(spec)), ("--resume", spec.session)),
            *self.definition.args,
        )
        home = dict([gemini_settings(places.hook, settings)]) if places.hook else {_FILE: json.dumps(settings)}
        return Launch(argv=argv, env=_QUIET | env, stdin=brief_input(spec), keys=keys, home=home)

    def reader(self) -> GeminiReader:
        """A reader for one process."""
        return GeminiReader()


class GeminiReader(JsonReader):
    """Reads `--output-format stream-json`."""

    def __init__(self) -> None:
        super().__init__()
        self._speaks = False

    def read(self, doc: Doc) -> Iterator[AgentEvent]:
        """What one object tells. A message comes in pieces; what follows a tool call is another one."""
        kind = doc.get("type")
        if kind == "message" and doc.get("role") == "assistant":
            self.final = (self.final if self._speaks else "") + text(doc, "content")
            self._speaks = True
            yield AgentEvent(kind=EventKind.TEXT, text=text(doc, "content"))
            return
        self._speaks = self._speaks and kind == "result"
        match kind:
            case "init":
                self.session, self.model = text(doc, "session_id"), text(doc, "model")
                yield AgentEvent(kind=EventKind.STARTED, text=self.model)
            case "tool_use":
                given = summary(mapping(doc, "parameters"))
                yield AgentEvent(
                    kind=EventKind.CALL, text=given, tool=text(doc, "tool_name"), call=text(doc, "tool_id")
                )
            case "tool_result":
                failed = doc.get("status") != "success"
                said = text(doc, "output") or text(doc, "error", "message")
                yield AgentEvent(kind=EventKind.RESULT, text=said, call=text(doc, "tool_id"), failed=failed)
            case "error":
                yield AgentEvent(kind=EventKind.RETRY, text=text(doc, "message"))
            case "result":
                yield from self._result(doc)
            case _:
                return

    def _result(self, doc: Doc) -> Iterator[AgentEvent]:
        self.usage = ModelUsage(
            input_tokens=count(doc, "stats", "input_tokens"),
            cached_tokens=count(doc, "stats", "cached"),
            output_tokens=count(doc, "stats", "output_tokens"),
        )
        used = list(mapping(doc, "stats", "models"))
        self.model = used[0] if len(used) == 1 else self.model
        if doc.get("status") != "success":
            error = mapping(doc, "error")
            if text(error, "type") == "FatalTurnLimitedError" or "max session turns" in text(error, "message").lower():
                yield self.over_budget(f"The agent reached its limit of turns: {text(error, 'message').rstrip('.')}.")
            else:
                yield self.complain(text(error, "message") or text(error, "type"), count(error, "code"))
