"""Claude Code (`claude`), written against 2.1.

Nothing but the brief tells it what to do: `--setting-sources ""` and `--strict-mcp-config` keep settings, hooks and
servers of the repository out. It has every permission: the sandbox around it is the fence, and a question of its own
would wait for somebody who is not there. Before each tool call a hook of ours asks us, and we ask a person where that
is due. Run as root it wants to be told that there is a sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

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
from chargehand.adapters.guarding.configs import claude_denied, claude_settings
from chargehand.dialects import Dialect
from chargehand.domain.outcome import LOOKERS
from chargehand.ports import AgentEvent, AttemptSpec, Capabilities, EventKind, Launch, ModelUsage, Places

__all__ = ["ClaudeAgent", "ClaudeReader"]

_QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "CLAUDE_CODE_MAX_RETRIES": "3",  # ten would be minutes of silence; waiting is for the runtime
    "IS_SANDBOX": "1",
}
_LIMITS = {"error_max_turns": "turns", "error_max_budget_usd": "money"}


class ClaudeAgent(ProgramAgent):
    """Implements `ports.StreamAgent`."""

    default = "claude"
    install = "npm install -g @anthropic-ai/claude-code"
    capabilities = Capabilities(
        dialect=Dialect.ANTHROPIC,
        resume=True,
        sums=True,
        turns=True,
        usd=True,
        calls=True,
        tokens=True,
        cost=True,
        hook="claude",
        login=(".claude/.credentials.json", ".claude.json"),
    )

    def launch(self, spec: AttemptSpec, places: Places) -> Launch:
        """One conversation, its brief on standard input."""
        endpoint = self.endpoint(places)
        env, keys = endpoint.variables("ANTHROPIC_API_KEY")
        if endpoint.base_url:
            env["ANTHROPIC_BASE_URL"] = endpoint.base_url
        argv = (
            *self.program,
            *("-p", "--output-format", "stream-json", "--verbose"),
            *("--setting-sources", "project" if self.definition.project_config else "", "--strict-mcp-config"),
            *("--permission-mode", "bypassPermissions"),
            *(("--settings", claude_settings(places.hook)) if places.hook else ()),
            *("--disallowedTools", ",".join((*claude_denied(hooked=bool(places.hook)), *_kept_from(spec)))),
            *words(
                ("--model", self.model(spec)),
                ("--resume", spec.session),
                ("--max-turns", self.turns(spec)),
                ("--max-budget-usd", spec.usd),
            ),
            *self.definition.args,
        )
        mode = next(each for word, each in reversed(tuple(pairwise(argv))) if word == "--permission-mode")
        return Launch(argv=argv, env=_QUIET | env, stdin=brief_input(spec), keys=keys, mode=mode)

    def reader(self) -> ClaudeReader:
        """A reader for one process."""
        return ClaudeReader()


def _kept_from(spec: AttemptSpec) -> tuple[str, ...]:
    """The tools that whoever only looks has no use for; what it does in its shell is found out afterwards [I7]."""
    return ("Edit", "Write", "NotebookEdit") if spec.role in LOOKERS else ()


class ClaudeReader(JsonReader):
    """Reads `--output-format stream-json`."""

    def read(self, doc: Doc) -> Iterator[AgentEvent]:
        """What one object tells. What a subagent says is told, but is no last message."""
        match (doc.get("type"), doc.get("subtype")):
            case ("system", "init"):
                self.session, self.model = text(doc, "session_id"), text(doc, "model")
                self.mode = text(doc, "permissionMode")
                yield AgentEvent(kind=EventKind.STARTED, text=self.model)
            case ("system", "api_retry"):
                yield AgentEvent(kind=EventKind.RETRY, text=f"{count(doc, 'error_status')} {text(doc, 'error')}")
            case ("assistant", _):
                yield from self._said(doc, final=doc.get("parent_tool_use_id") is None)
            case ("user", _):
                yield from self._answered(doc)
            case ("result", _):
                yield from self._result(doc)
            case _:
                return

    def _said(self, doc: Doc, *, final: bool) -> Iterator[AgentEvent]:
        message = mapping(doc, "message")
        if message.get("model") == "<synthetic>":  # the program speaks, not the model: the result says it again
            return
        for part in items(message, "content"):
            if text(part, "type") == "text" and text(part, "text"):
                if final:
                    self.final = text(part, "text")
                yield AgentEvent(kind=EventKind.TEXT, text=text(part, "text"))
            elif text(part, "type") == "tool_use":
                given = summary(mapping(part, "input"))
                yield AgentEvent(kind=EventKind.CALL, text=given, tool=text(part, "name"), call=text(part, "id"))

    def _answered(self, doc: Doc) -> Iterator[AgentEvent]:
        for part in items(mapping(doc, "message"), "content"):
            if text(part, "type") == "tool_result":
                said, failed = flatten(part.get("content")), part.get("is_error") is True
                yield AgentEvent(kind=EventKind.RESULT, text=said, call=text(part, "tool_use_id"), failed=failed)

    def _result(self, doc: Doc) -> Iterator[AgentEvent]:
        self.session = text(doc, "session_id") or self.session
        self.usage = _usage(doc)
        for denial in items(doc, "permission_denials"):
            yield self.denied(text(denial, "tool_name"), summary(mapping(denial, "tool_input")))
        kind = text(doc, "subtype")
        if kind in _LIMITS:
            yield self.over_budget(f"The agent reached its limit of {_LIMITS[kind]}: {_errors(doc)}.")
        elif doc.get("is_error") is True or kind != "success":
            status = count(doc, "api_error_status")
            yield self.complain(text(doc, "result") or _errors(doc) or kind, status)
        else:
            self.final = text(doc, "result") or self.final


def _usage(doc: Doc) -> ModelUsage:
    """Of all models that took part; after a resume, from the beginning of the session. `usage` has neither."""
    models = [mapping(model) for model in mapping(doc, "modelUsage").values()]
    cached = sum(count(model, "cacheReadInputTokens") for model in models)
    fresh = sum(count(model, "inputTokens") + count(model, "cacheCreationInputTokens") for model in models)
    usd = doc.get("total_cost_usd")
    return ModelUsage(
        input_tokens=fresh + cached,
        cached_tokens=cached,
        output_tokens=sum(count(model, "outputTokens") for model in models),
        usd=float(usd) if isinstance(usd, int | float) and 0 <= usd < 1e9 else None,
    )


def _errors(doc: Doc) -> str:
    return "; ".join(error.rstrip(".") for error in items(doc, "errors") if isinstance(error, str))
