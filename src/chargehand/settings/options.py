"""The one table of options: key, type, default and help, for files, environment, `--set` and flags (SPEC 10.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from chargehand.domain.options import Caps
from chargehand.domain.plan import Barrier, Mode, Weight
from chargehand.plans.document import Plain
from chargehand.plans.faults import problem_of
from chargehand.plans.fields import Count, Duration, EnvName, Flag, Model, Money, ShellOrArgv, Whole
from chargehand.plans.models import GateModel, Profile

__all__ = [
    "CONTRACT_VARIABLES",
    "OPTIONS",
    "KeyPath",
    "Option",
    "Refused",
    "adapt",
    "env_name",
    "option_for",
    "parse_text",
    "split_key",
]

KeyPath = tuple[str, ...]

CONTRACT_VARIABLES = frozenset(
    f"CHARGEHAND_{name}"
    for name in (
        *("ATTEMPT", "BASE", "BRIEF", "DIFF", "JUNIT", "PORT_BASE", "PREVIOUS", "RESULT", "ROLE", "RUN"),
        *("SCRATCH", "TASK", "TREE"),
        *("DECISION", "NOTICE", "TITLE"),
    )
)
"""What an attempt, or the command of `notify`, finds in its environment; not settings, and ignored as such."""

Bound = Literal["none"]
Texts = list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One setting.

    `key` is the dotted TOML key; a `*` in it stands for a name of the user's. `type` is a pydantic annotation whose
    value is what the program works with. `flag` is the flag of `run` that sets it, if there is one. `default` is as
    a person would write it; None: not set.
    """

    key: str
    type: Any
    help: str
    default: Any = None
    flag: str = ""

    @property
    def env(self) -> str:
        """The environment variable that sets it; empty where a name of the user's is part of the key."""
        return "" if "*" in self.key or self.type in _STRUCTURED else env_name(self.key)

    @property
    def is_list(self) -> bool:
        """Whether its value is a list of texts."""
        return self.type in (Texts, list[EnvName])


class Refused(Exception):
    """A value that does not fit its option; the text is a sentence."""

    def __init__(self, message: str, hint: str = "", path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.path = path


def env_name(key: str) -> str:
    """The environment variable of a key: `caps.run_wall` is CHARGEHAND_CAPS_RUN_WALL."""
    return "CHARGEHAND_" + key.upper().replace(".", "_").replace("-", "_")


_STRUCTURED = (list[GateModel],)
_SANDBOX = Literal["auto", "bwrap", "landlock", "none"]
_NETWORK = Literal["open", "meter", "none"]
_HOME = Literal["private", "persistent"]
_CAPS = Caps()

OPTIONS: tuple[Option, ...] = (
    Option(key="jobs", type=Count, default=4, flag="--jobs", help="How many attempts run at once."),
    Option(key="agent", type=str, flag="--agent", help="Agent of tasks that name none."),
    Option(key="reviewer", type=str, flag="--reviewer", help="Reviewing agent of tasks that name none."),
    Option(key="agent_command", type=str, flag="--agent-command", help="Command line of an agent for this run."),
    Option(
        key="reviewer_command", type=str, flag="--reviewer-command", help="Command line of a reviewer for this run."
    ),
    Option(key="profile", type=Profile, flag="--profile", help="Profile of plans that name none."),
    Option(key="barrier", type=Barrier, flag="--barrier", help="Barrier of plans that name none."),
    Option(
        key="unattended",
        type=Flag,
        default=False,
        flag="--unattended",
        help="Nobody is there: a question gets its safe default.",
    ),
    Option(
        key="accept", type=Flag, default=False, flag="--accept", help="Land on the target when everything is green."
    ),
    Option(key="state_dir", type=str, flag="--state-dir", help="Folder of journals, logs and workspaces."),
    Option(
        key="rescue_days",
        type=Whole,
        default=30,
        help="How many days `clean` keeps rescues, and sealed attempts that were not landed; 0: for ever.",
    ),
    Option(key="spare_bytes", type=Whole, default=1024**3, help="Free disk without which no attempt starts, in bytes."),
    Option(
        key="gate_cache",
        type=Flag,
        default=True,
        help="A gate that passed on the same tree with the same command and environment is not run again.",
    ),
    Option(key="gate_cache_days", type=Count, default=7, help="How many days such a pass counts."),
    Option(key="defaults.agent", type=str, help="Agent of tasks that name none, as in a plan."),
    Option(key="defaults.reviewer", type=str, help="Reviewing agent of tasks that name none, as in a plan."),
    Option(key="defaults.model", type=str, help="Model of tasks that name none."),
    Option(key="defaults.weight", type=Weight, flag="--weight", help="Context and review: light or full."),
    Option(key="defaults.mode", type=Mode, help="parallel, or sequential: a task runs alone."),
    Option(key="defaults.limits.wall", type=Duration, help="Longest duration of an attempt."),
    Option(key="defaults.limits.idle", type=Duration, help="Longest silence of an attempt."),
    Option(key="defaults.limits.tokens", type=Count, help="Tokens an attempt may use."),
    Option(key="defaults.limits.usd", type=Money, help="US dollars an attempt may cost."),
    Option(key="features.code_review", type=Flag, flag="--no-review", help="Review every task, and the whole."),
    Option(key="features.holistic", type=Flag, help="Review the whole once all tasks are integrated."),
    Option(key="gates", type=list[GateModel], help="Gates, as in a plan; merged with those of the plan by id."),
    Option(key="setup.run", type=ShellOrArgv, help="Makes a fresh checkout ready."),
    Option(key="setup.key", type=Texts, help="Files whose content decides whether setup runs again."),
    Option(key="setup.keep", type=Texts, help="Patterns of what setup makes and cleaning leaves alone."),
    Option(key="env.pass", type=list[EnvName], help="Names of variables that are passed on."),
    Option(key="env.set.*", type=str, help="A variable and the value it gets; never a secret."),
    Option(key="secrets.allow", type=Texts, default=[], help="Patterns of paths where formats of keys do not count."),
    Option(key="commands.build", type=ShellOrArgv, help="Build command, for systems whose plans name none."),
    Option(key="commands.test", type=ShellOrArgv, help="Test command, for systems whose plans name none."),
    Option(key="commands.approved", type=Texts, default=[], help="Exact commands of plans that need no further yes."),
    Option(
        key="sandbox.kind", type=_SANDBOX, default="auto", flag="--sandbox", help="auto takes the first that works."
    ),
    Option(key="sandbox.read", type=Texts, default=[], help="More paths an agent may read."),
    Option(key="sandbox.write", type=Texts, default=[], help="More paths an agent may write."),
    Option(key="sandbox.network", type=_NETWORK, default="open", help="Network of agents: open, meter or none."),
    Option(key="agents.*.kind", type=str, default="command", help="Adapter of the agent; `chargehand agents` has all."),
    Option(key="agents.*.command", type=str, help="Its command line, split like a shell would, run without one."),
    Option(key="agents.*.args", type=Texts, help="More arguments for a kind that has a command line of its own."),
    Option(key="agents.*.model", type=str, help="Its model."),
    Option(key="agents.*.jobs", type=Count, help="How many attempts of it run at once."),
    Option(key="agents.*.fallback", type=str, help="Agent that takes its tasks while its provider asks to wait."),
    Option(key="agents.*.key", type=str, help="env:NAME, the variable that holds the key of its provider."),
    Option(key="agents.*.base_url", type=str, help="Where its provider is, if not where its program looks."),
    Option(key="agents.*.meter", type=Flag, default=True, help="With a key: reach the provider through the meter."),
    Option(key="agents.*.turns", type=Count, help="Model turns of an attempt, where its program can bound them."),
    Option(key="agents.*.home", type=_HOME, default="private", help="private, or persistent: kept between attempts."),
    Option(key="agents.*.project_config", type=Flag, default=False, help="Obey agent configuration of the repository."),
    Option(key="agents.*.login", type=str, help="Folder from which the files of its login are copied, such as ~."),
    Option(key="meter.prices", type=str, help="Price table that goes before the one of the package."),
    Option(key="meter.record", type=str, help="Cassette that what passes the meter is added to, without secrets."),
    Option(key="meter.replay", type=str, help="Cassette that answers in place of every provider."),
    Option(key="caps.task_attempts", type=Count, default=_CAPS.task_attempts, help="Attempts of a task, all roles."),
    Option(key="caps.task_retries", type=Whole, help="Attempts that follow one that failed; as the profile says."),
    Option(key="caps.run_wall", type=Duration, default="12h", help="Longest duration of a run."),
    Option(key="caps.attempt_wall", type=Duration, default="30m", help="Longest duration of an attempt."),
    Option(key="caps.attempt_idle", type=Duration, default="5m", help="Longest silence of an attempt."),
    Option(key="caps.gate_wall", type=Duration, default="15m", help="Longest duration of a gate."),
    Option(
        key="caps.gate_wall_cap",
        type=Duration,
        default="1h",
        help="How far the duration of a gate that could not judge may be raised.",
    ),
    Option(key="caps.setup_wall", type=Duration, default="15m", help="Longest duration of a setup."),
    Option(key="caps.task_tokens", type=Bound | Count, default=_CAPS.task_tokens, help="Tokens per task."),
    Option(key="caps.run_tokens", type=Bound | Count, default=_CAPS.run_tokens, help="Tokens per run."),
    Option(key="caps.task_usd", type=Bound | Money, default=_CAPS.task_usd, help="US dollars per task."),
    Option(key="caps.run_usd", type=Bound | Money, default=_CAPS.run_usd, help="US dollars per run."),
    Option(key="caps.brief_tokens", type=Count, default=_CAPS.brief_tokens, help="Size of a brief, in tokens."),
    Option(key="caps.output_bytes", type=Count, default=_CAPS.output_bytes, help="Output kept of a process, in bytes."),
    Option(key="caps.disk_bytes", type=Count, default=_CAPS.disk_bytes, help="Disk an attempt may use, in bytes."),
    Option(key="caps.report_grace", type=Duration, default="10s", help="Time to end by itself after the report."),
    Option(key="notify.bell", type=Flag, default=False, help="Ring the terminal bell."),
    Option(key="notify.desktop", type=Flag, default=False, help="Show a desktop notification."),
    Option(key="notify.webhook", type=str, help="env:NAME, the variable that holds the URL messages are posted to."),
    Option(key="notify.command", type=ShellOrArgv, help="Program that gets each message, run without a shell."),
)


@lru_cache(maxsize=1)
def _by_key() -> Mapping[str, Option]:
    return {option.key: option for option in OPTIONS}


def split_key(text: str) -> KeyPath:
    """The parts of a dotted key; the name of an agent or a variable may contain dots itself."""
    parts = text.split(".")
    if parts[0] == "agents" and len(parts) > 2:
        return ("agents", ".".join(parts[1:-1]), parts[-1])
    if parts[:2] == ["env", "set"] and len(parts) > 2:
        return ("env", "set", ".".join(parts[2:]))
    return tuple(parts)


def option_for(path: KeyPath) -> Option | None:
    """The option of a key; `("agents", "claude", "model")` and `("env", "set", "NAME")` meet their `*`."""
    key = ".".join(path)
    if len(path) == 3 and path[0] == "agents":
        key = f"agents.*.{path[2]}"
    elif len(path) == 3 and path[:2] == ("env", "set"):
        key = "env.set.*"
    return _by_key().get(key)


def adapt(option: Option, value: Any) -> Any:
    """The value the program works with; `Refused` when it does not fit. `none` lifts a bound: it becomes None."""
    try:
        adapted = _adapter(option.key).validate_python(value)
    except ValidationError as error:
        raise _refusal(option, error) from None
    return None if adapted == "none" and option.key.startswith("caps.") else adapted


@lru_cache(maxsize=128)
def _adapter(key: str) -> TypeAdapter[Any]:
    return TypeAdapter(_by_key()[key].type)


class _Gates(Model):
    gates: list[GateModel]


def _refusal(option: Option, error: ValidationError) -> Refused:
    details = error.errors(include_url=False)
    detail = next((one for one in details if one["type"] == "said"), details[0])
    loc = tuple(part for part in detail["loc"] if not str(part).startswith(("function-", "literal[", "list[")))
    detail["loc"] = ("gates", *loc) if option.key == "gates" else loc
    problem = problem_of(detail, _Gates)
    text = problem.message.removeprefix("the document: ")
    return Refused(text, problem.hint, problem.path if option.key == "gates" else loc)


def parse_text(option: Option, text: str) -> Any:
    """The value of an option written as one text (environment, `--set`), ready for `adapt`."""
    if option.type in _STRUCTURED:
        raise Refused("It can only be set in a file.")
    if option.is_list:
        if text.lstrip().startswith("["):
            return _json(text)
        return [part.strip() for part in text.split(",") if part.strip()]
    if option.type is ShellOrArgv:
        return _json(text) if text.lstrip().startswith("[") else text
    return Plain(text)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Refused("It begins with '[' but is not a JSON list.") from None
