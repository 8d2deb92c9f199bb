"""One turn with an agent of the settings, to see whether it works: a real attempt in a throw-away repository."""

from __future__ import annotations

import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from chargehand.adapters.agent_run import as_stream
from chargehand.adapters.agents import make_agent
from chargehand.adapters.git import Repository
from chargehand.adapters.git.command import Git, plain_environment
from chargehand.domain.errors import ChargehandError, UserError
from chargehand.domain.events import Recorded, RunStarted
from chargehand.domain.evolve import fold
from chargehand.domain.ids import integration_branch
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.outcome import AttemptResult, ExitKind, Role
from chargehand.domain.plan import Plan, Task
from chargehand.ports import AttemptSpec
from chargehand.settings import Settings
from chargehand.wiring.installed import version_of
from chargehand.wiring.places import Places
from chargehand.wiring.ports import fleet_alone
from chargehand.wiring.providers import KEY_HINT, missing_key
from chargehand.wiring.workshop import Workshop

__all__ = ["Trial", "try_agent"]

WALL_S = 120.0
MOST_TOKENS = 300_000

_ASKED = """\
# A check

This only checks that you can be reached. Change nothing, and look at nothing.

{how}
"""
_BY_MESSAGE = """\
Answer with exactly this, and nothing else:

```chargehand-report
{"status": "DONE", "summary": "It answers."}
```
"""
_BY_FILE = 'Write {"status": "DONE"} to the file named by the environment variable CHARGEHAND_RESULT, then end.'
_NO_MODEL = re.compile(
    r"\b404\b|model.{0,60}(?:not (?:be )?found|does not exist|not exist|unknown|invalid)|unknown model", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of it. `problem` is a sentence in plain words and `hint` the next step, both empty when `ok`.

    `model` is the one that answered, as far as that is told; `tokens` and `usd` are None where nobody tells. `metered`:
    they were counted by the meter.
    """

    agent: str
    kind: str
    ok: bool = False
    version: str = ""
    model: str = ""
    tokens: int | None = None
    usd: float | None = None
    metered: bool = False
    wall_s: float = 0.0
    warnings: tuple[str, ...] = ()
    problem: str = ""
    hint: str = ""


async def try_agent(settings: Settings, environ: Mapping[str, str], cwd: Path, name: str) -> Trial:
    """Have the agent answer once, in the sandbox and through the meter as in a run; `UserError` for an unknown one."""
    definition = next((each for each in settings.agents if each.name == name), None)
    if definition is None:
        known = ", ".join(each.name for each in settings.agents) or "none"
        text = f"There is no agent called {name}; there are: {known}."
        raise UserError(text, code="unknown_agent", hint="Define it under [agents.NAME] in your settings file.")
    trial = Trial(agent=name, kind=definition.kind)
    try:
        why = make_agent(definition).missing()
    except UserError as error:
        return replace(trial, problem=error.message, hint=error.hint)
    if why:
        return replace(trial, problem=why, hint="Install it, or correct its `command`.")
    if why := missing_key(definition, environ, replays=settings.meter.replay is not None):
        return replace(trial, problem=why, hint=KEY_HINT.format(name=name))
    trial = replace(trial, version=await version_of(definition, environ))
    try:
        async with _shop(settings, environ, cwd) as shop:
            return await _tried(shop, definition, trial)
    except ChargehandError as error:
        hint = error.hint if isinstance(error, UserError) else ""
        return replace(trial, problem=getattr(error, "message", str(error)), hint=hint)


@asynccontextmanager
async def _shop(settings: Settings, environ: Mapping[str, str], cwd: Path) -> AsyncIterator[Workshop]:
    """A workshop of a repository that holds one file, and is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="chargehand-check-", ignore_cleanup_errors=True) as folder:
        project = Path(folder) / "project"
        project.mkdir()
        (project / "README.md").write_text("A check.\n", "utf-8")
        git = Git(cwd=project, env=plain_environment(environ))
        await git.run("init", "--quiet", "--template=", "--initial-branch=main")
        for key, value in (("user.name", "Chargehand"), ("user.email", "check@localhost"), ("commit.gpgsign", "false")):
            await git.run("config", key, value)
        await git.run("add", "--all")
        await git.run("commit", "--quiet", "--message", "A check")
        repository = await Repository.discover(project, environ)
        places = Places.of(repository, Path(folder) / "state", environ)
        yield Workshop(repository=repository, settings=settings, environ=dict(environ), cwd=cwd, places=places)


async def _tried(shop: Workshop, definition: AgentDef, trial: Trial) -> Trial:
    settings = shop.settings
    plan = Plan(plan="check", tasks=(Task(id="check", title="A check"),), env=settings.env)
    options = RunOptions(
        agent=definition.name,
        agents=(definition,),
        review=False,
        unattended=True,
        sandbox=settings.sandbox.kind,
        network=settings.sandbox.network,
        sandbox_read=settings.sandbox.read,
        sandbox_write=settings.sandbox.write,
        caps=settings.caps,
    )
    base = await shop.repository.resolve("HEAD")
    event = RunStarted(run="check", plan=plan, options=options, base=base, branch=integration_branch("check"))
    state = fold([Recorded(seq=1, at=shop.clock.now(), event=event)])
    spec = AttemptSpec(
        key="check/1/attempt",
        run="check",
        task="check",
        attempt=1,
        role=Role.IMPLEMENTER,
        base=base,
        title="A check",
        brief=_ASKED.format(how=_BY_FILE if as_stream(make_agent(definition)) is None else _BY_MESSAGE),
        agent=definition.name,
        wall_s=WALL_S,
        idle_s=None,
        env=settings.env,
        tokens=MOST_TOKENS,
    )
    async with fleet_alone(shop, state) as (fleet, metered):
        await fleet.submit(spec)
        result = await fleet.wait(spec.key)
    problem, hint = _wrong(definition, result)
    return replace(
        trial,
        ok=not problem,
        model=result.model,
        tokens=result.usage.tokens,
        usd=result.usage.usd,
        metered=definition.name in metered,
        wall_s=result.usage.wall_s,
        warnings=result.warnings,
        problem=problem,
        hint=hint,
    )


def _wrong(definition: AgentDef, result: AttemptResult) -> tuple[str, str]:
    """What is wrong, in plain words, and what to do about it; empty texts when nothing is."""
    end = result.exit
    said = end.detail or result.output.strip()[-500:]
    if result.report is not None:
        return "", ""
    match end.kind:
        case ExitKind.ENV_MISSING:
            return said or "It could not be started.", "" if "Look at `key`" in said else _login_hint(definition)
        case ExitKind.RATE_LIMITED:
            until = f" until {datetime.fromtimestamp(end.retry_at).astimezone():%Y-%m-%d %H:%M}" if end.retry_at else ""
            why = said.removeprefix("The provider asks to wait: ")
            return f"Its provider asks to wait{until}: {why}", "It is reached, and its login counts: try again then."
        case ExitKind.PROVIDER_DOWN:
            return said, "Look at the network, at HTTPS_PROXY, and at `base_url` of the agent."
        case ExitKind.TIMEOUT | ExitKind.STALL:
            return f"It did not come to an end within {WALL_S:.0f} s. {said}".strip(), _quiet_hint(definition)
        case ExitKind.EXITED if _answered(result):
            return _unreported(definition, result)
        case ExitKind.EXITED if end.code == 0 and end.signal is None:
            return f"It ended without an answer that could be used: {result.report_problem}", _quiet_hint(definition)
    how = f"signal {end.signal}" if end.signal is not None else f"exit code {end.code}"
    text = f"It ended with {how if end.kind is ExitKind.EXITED else end.kind.value}: {said or 'it said nothing'}"
    if _NO_MODEL.search(said):
        asked = f"the model {definition.model}" if definition.model else "the model it asks for"
        return f"Its provider does not know {asked}. {text}", f"Correct `model` under [agents.{definition.name}]."
    return text, _quiet_hint(definition)


def _answered(result: AttemptResult) -> bool:
    """Whether its model was heard, and the program ended as it does when all is well."""
    end = result.exit
    return end.code == 0 and end.signal is None and bool(result.model or result.usage.tokens)


_LOG_HEADS = ("model: ",)
"""Lines that the log of a session has besides what the model said."""


def _unreported(definition: AgentDef, result: AttemptResult) -> tuple[str, str]:
    """A model that answers, but not in the form it was asked for; its program, its key and its provider are fine."""
    model = f"Its model {result.model}" if result.model else "Its model"
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    said = " ".join(dict.fromkeys(line for line in lines if not line.startswith(_LOG_HEADS)))  # asked twice, said twice
    told = f" It said: {said[-300:]}" if said else ""
    hint = (
        "It is reached, and its login counts. In a run its attempts would be judged by what they change alone; "
        f"another `model` under [agents.{definition.name}] may do better."
    )
    return f"{model} answers, but does not give the report that it is asked for.{told}", hint


def _login_hint(definition: AgentDef) -> str:
    return f"Look at `command`, `key`, `login` and `home` under [agents.{definition.name}]."


def _quiet_hint(definition: AgentDef) -> str:
    return f"Start its program by hand once; then look at [agents.{definition.name}]."
