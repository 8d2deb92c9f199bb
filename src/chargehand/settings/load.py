"""From the sources to typed `Settings`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chargehand.domain.errors import UserError
from chargehand.domain.options import AgentDef, Caps
from chargehand.domain.plan import Command, EnvSpec, GateSpec, Limits, SetupSpec
from chargehand.domain.problem import Problem, Severity
from chargehand.plans.convert import gate_of
from chargehand.settings.options import OPTIONS
from chargehand.settings.sources import Gathered, gather, user_file
from chargehand.settings.trust import Refusal, not_of_a_project
from chargehand.settings.values import Commands, Defaults, Metering, Notify, Rank, Sandbox, Settings, Value

__all__ = ["SettingsInvalid", "load_settings"]

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")


class SettingsInvalid(UserError):
    """Something is wrong with the settings; `problems` has all of it, the message the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first, more = problems[0], len(problems) - 1
        also = f" ({more} more problem{'s' if more > 1 else ''} with the settings.)" if more else ""
        super().__init__(first.message + also, code=first.code, hint=first.hint, file=first.file, line=first.line)
        self.problems = tuple(problems)


def load_settings(
    repo_root: Path | None,
    env: Mapping[str, str],
    sets: Sequence[str] = (),
    flags: Mapping[str, Any] | None = None,
    *,
    cwd: Path | None = None,
) -> Settings:
    """The settings of a project, from all sources in rising order: built in, user file, project file, environment
    (`CHARGEHAND_*`), `sets` (`key=value`), `flags` (option key to value; None is not given).

    `cwd` is where the program was started: relative agent programs and paths count from it. Raises
    `SettingsInvalid` with all problems at once.
    """
    found, warnings = gather(repo_root, env, sets, flags or {})
    here = cwd or Path.cwd()
    root = repo_root or here
    reader = _Reader(found, env, here, root)
    settings = reader.settings()
    for refusal in not_of_a_project(found, root=root, state_dir=settings.state_dir, own_file=user_file(env)):
        reader.refuse(refusal)
    if found.problems:
        raise SettingsInvalid(found.problems)
    return replace(settings, warnings=(*warnings, *reader.warnings))


class _Reader:
    """Takes typed values out of what was gathered; what belongs together and does not fit becomes a problem."""

    def __init__(self, found: Gathered, env: Mapping[str, str], cwd: Path, root: Path) -> None:
        self._found = found
        self._env = env
        self._cwd = cwd
        self._root = root
        self.warnings: list[Problem] = []

    def get(self, key: str, default: Any = None) -> Any:
        value = self._found.values.get(key)
        return default if value is None else value.value

    def settings(self) -> Settings:
        defaults = self._defaults()
        return Settings(
            jobs=self.get("jobs", 4),
            agent=self.get("agent") or defaults.agent,
            reviewer=self.get("reviewer") or defaults.reviewer,
            agent_command=self.get("agent_command"),
            reviewer_command=self.get("reviewer_command"),
            profile=self.get("profile"),
            barrier=self.get("barrier"),
            unattended=self.get("unattended", False),
            accept=self.get("accept", False),
            state_dir=self._path("state_dir"),
            rescue_days=self.get("rescue_days", 30),
            secrets_allow=tuple(self.get("secrets.allow", [])),
            spare_bytes=self.get("spare_bytes", 1024**3),
            gate_cache=self.get("gate_cache", True),
            gate_cache_days=self.get("gate_cache_days", 7),
            defaults=defaults,
            code_review=self.get("features.code_review"),
            holistic=self.get("features.holistic"),
            gates=self._gates(),
            setup=self._setup(),
            env=self._env_spec(),
            commands=Commands(
                build=self.get("commands.build"),
                test=self.get("commands.test"),
                approved=tuple(self.get("commands.approved", ())),
            ),
            sandbox=self._sandbox(),
            agents=self._agents(),
            meter=self._metering(),
            caps=self._caps(),
            notify=self._notify(),
            values=self._ordered(),
        )

    def _defaults(self) -> Defaults:
        limits = Limits(
            wall_s=self.get("defaults.limits.wall"),
            idle_s=self.get("defaults.limits.idle"),
            tokens=self.get("defaults.limits.tokens"),
            usd=self.get("defaults.limits.usd"),
        )
        names = ("agent", "reviewer", "model", "weight", "mode")
        return Defaults(limits=limits, **{name: self.get(f"defaults.{name}") for name in names})

    def _path(self, key: str) -> Path | None:
        """A path: below HOME, or relative to the repository in a file, else to where the program was started."""
        text: str | None = self.get(key)
        if text is None:
            return None
        if (text == "~" or text.startswith("~/")) and self._env.get("HOME"):
            return Path(self._env["HOME"]) / text[2:]
        from_file = self._found.values[key].rank <= Rank.PROJECT
        return (self._root if from_file else self._cwd) / text

    def _gates(self) -> tuple[GateSpec, ...]:
        gates = tuple(gate_of(model) for model in self.get("gates", ()))
        seen: set[str] = set()
        for gate in gates:
            if gate.id in seen:
                self._wrong("gates", f"The gate id '{gate.id}' is used twice.", "Rename one of them.")
            seen.add(gate.id)
        return gates

    def _setup(self) -> SetupSpec | None:
        run = self.get("setup.run")
        key, keep = tuple(self.get("setup.key", ())), tuple(self.get("setup.keep", ()))
        if run is not None:
            return SetupSpec(run=run, key=key, keep=keep)
        if key or keep:
            first = "setup.key" if key else "setup.keep"
            self._wrong(first, f"{first} is set, but setup.run is not.", "Name the command: setup.run.")
        return None

    def _env_spec(self) -> EnvSpec:
        prefix = "env.set."
        values = {
            key.removeprefix(prefix): value.value for key, value in self._found.values.items() if key.startswith(prefix)
        }
        return EnvSpec(passed=tuple(self.get("env.pass", ())), values=tuple(values.items()))

    def _sandbox(self) -> Sandbox:
        return Sandbox(
            kind=self.get("sandbox.kind", "auto"),
            read=tuple(self.get("sandbox.read", ())),
            write=tuple(self.get("sandbox.write", ())),
            network=self.get("sandbox.network", "open"),
        )

    def _metering(self) -> Metering:
        cassettes = ("meter.record", "meter.replay")
        set_ones = [key for key in cassettes if self.get(key)]
        if len(set_ones) > 1:
            self._wrong(set_ones[0], "meter.record and meter.replay are both set.", "Keep one of them.")
        return Metering(
            prices=self._path("meter.prices"), **{key.removeprefix("meter."): self._path(key) for key in cassettes}
        )

    def _agents(self) -> tuple[AgentDef, ...]:
        names = dict.fromkeys(
            key.removeprefix("agents.").rpartition(".")[0] for key in self._found.values if key.startswith("agents.")
        )
        return tuple(self._agent(name) for name in names)

    def _agent(self, name: str) -> AgentDef:
        def get(field: str, default: Any = None) -> Any:
            return self.get(f"agents.{name}.{field}", default)

        return AgentDef(
            name=name,
            kind=get("kind", "command"),
            command=get("command", ""),
            cwd=str(self._cwd),
            model=get("model"),
            jobs=get("jobs"),
            fallback=get("fallback"),
            args=tuple(get("args", ())),
            key=self._key(name),
            base_url=get("base_url", "").rstrip("/"),
            meter=get("meter", True),
            turns=get("turns"),
            home=get("home", "private"),
            project_config=get("project_config", False),
            login=str(self._path(f"agents.{name}.login") or ""),
        )

    def _key(self, name: str) -> str:
        """The reference to a key; the key itself is read only where it is used."""
        key = f"agents.{name}.key"
        text: str = self.get(key, "")
        if text and not _REFERENCE.fullmatch(text):
            self._wrong(key, f"{key} is no reference to a variable.", "Put the key into your environment: env:NAME.")
        return text

    def _caps(self) -> Caps:
        fields = Caps.__dataclass_fields__
        keys = {field: f"caps.{field.removesuffix('_s')}" for field in fields}
        values = self._found.values
        return Caps(**{field: values[key].value for field, key in keys.items() if key in values})

    def _notify(self) -> Notify:
        return Notify(
            bell=self.get("notify.bell", False),
            desktop=self.get("notify.desktop", False),
            webhook=self._webhook(),
            command=self._notify_command(),
        )

    def _webhook(self) -> str | None:
        """The URL, out of the variable that is named; whoever knows it can post, so it is never written down."""
        key = "notify.webhook"
        text: str = self.get(key, "")
        name = text.removeprefix("env:") if text.startswith("env:") else ""
        url = self._env.get(name, "") if name else text
        if name and not url:
            self._warn(key, f"{key} names the variable {name}, which is not set: no message is posted.")
        elif url and not name and self._found.values[key].rank is not Rank.ENVIRONMENT:
            hint = "Set it as a variable in your environment and write env:NAME."
            self._wrong(key, f"{key} is a URL, which is a secret.", hint)
        elif url and not url.startswith(("https://", "http://")):
            self._wrong(key, f"{key} is no URL that begins with https:// or http://.", "")
        return url or None

    def _notify_command(self) -> Command | None:
        key = "notify.command"
        command: Command | None = self.get(key)
        if command is None:
            return None
        if not command.shell:
            return command
        try:
            return Command(argv=tuple(shlex.split(command.argv[0])))
        except ValueError as error:
            self._wrong(key, f"{key} cannot be split into words: {error}.", "POSIX quoting applies; there is no shell.")
            return None

    def _warn(self, key: str, message: str) -> None:
        self.warnings.append(self._problem("unset_variable", key, message, "", Severity.WARNING))

    def refuse(self, refusal: Refusal) -> None:
        """Note a setting that its source cannot say."""
        self._wrong(refusal.key, refusal.message, refusal.hint)

    def _wrong(self, key: str, message: str, hint: str) -> None:
        self._found.problems.append(self._problem("bad_setting", key, message, hint))

    def _problem(self, code: str, key: str, message: str, hint: str, severity: Severity = Severity.ERROR) -> Problem:
        source = self._found.values[key].source
        file, _, line = source.rpartition(":")
        known = self._found.values[key].rank in {Rank.USER, Rank.PROJECT}
        return Problem(
            code=code,
            message=message if known else f"{source}: {message}",
            hint=hint,
            file=file if known else None,
            line=int(line) if known else None,
            severity=severity,
        )

    def _ordered(self) -> dict[str, Value]:
        order = {option.key: number for number, option in enumerate(OPTIONS)}
        place = {"env": order["env.pass"] + 0.5, "agents": order["agents.*.kind"]}
        keys = sorted(self._found.values, key=lambda key: (order.get(key, place.get(key.partition(".")[0], 0)), key))
        return {key: _shown(self._found.values[key]) for key in keys}


def _shown(value: Value) -> Value:
    """The value as it may be printed: a URL that takes messages is a secret."""
    if value.key == "notify.webhook" and not value.value.startswith("env:"):
        return replace(value, value="", shown="[hidden]")
    return value
