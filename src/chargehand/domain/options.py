"""What a run was started with besides its plan: recorded in the journal, so `resume` needs no flags."""

from __future__ import annotations

from dataclasses import dataclass

from chargehand.domain.policy import HOUSE, Policy

__all__ = ["AgentDef", "Caps", "RunOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDef:
    """An agent of the settings: `kind` names the adapter, `command` is its command line (POSIX quoting).

    `cwd` is where Chargehand was started: a relative program with a slash in it is resolved from there.
    `jobs` bounds how many attempts of this agent are live at once (None: only by the run's slots). `fallback` names the
    agent that takes its tasks while its provider asks to wait.

    What follows is for kinds that drive a program. `args` are added to its command line. `key` is a reference,
    `env:NAME`, to the variable that holds the key of its provider; `base_url` is where that is (empty: the program's
    own). With `meter` and a key it reaches the provider through the meter and never sees the key. `turns` bounds its
    model turns. `home` is `private` (new for each attempt) or `persistent` (kept, for logins that renew themselves);
    `login` is a folder, such as the user's own home, from which the files of its login are copied. `project_config`
    lets the program obey configuration that comes with the repository.
    """

    name: str
    kind: str
    command: str = ""
    cwd: str = ""
    model: str | None = None
    jobs: int | None = None
    fallback: str | None = None
    args: tuple[str, ...] = ()
    key: str = ""
    base_url: str = ""
    meter: bool = True
    turns: int | None = None
    home: str = "private"
    login: str = ""
    project_config: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Bounds that hold for every run unless set otherwise (SPEC 3.8).

    `task_retries` is how many attempts follow one that failed, where the policy of the run is not to say; both in
    `task_attempts`, which counts all roles. `gate_wall_cap_s` is how far the time of a gate that could not judge may
    be raised.
    """

    task_attempts: int = 16
    task_retries: int | None = None
    run_wall_s: float = 12 * 3600.0
    attempt_wall_s: float = 30 * 60.0
    attempt_idle_s: float = 5 * 60.0
    gate_wall_s: float = 15 * 60.0
    gate_wall_cap_s: float = 3600.0
    setup_wall_s: float = 15 * 60.0
    task_tokens: int | None = 10_000_000
    run_tokens: int | None = 100_000_000
    task_usd: float | None = 25.0
    run_usd: float | None = 250.0
    brief_tokens: int = 16_000
    output_bytes: int = 64 * 1024 * 1024
    disk_bytes: int = 10 * 1024**3
    report_grace_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The choices of one run.

    `only` restricts it to some tasks and what they depend on; `target` is the branch that `accept` lands on;
    `inputs` are (path, text) of plan and spec files newer than the base: shown to agents, never sealed. `wording` is
    (role, text) that a profile adds to the briefs of a role. `artifacts` are patterns of the files that another system
    keeps of its runs: only the coordinator writes them, so what an attempt does there is no part of its change.
    """

    agent: str
    agents: tuple[AgentDef, ...]
    reviewer: str | None = None
    jobs: int = 4
    unattended: bool = False
    accept: bool = False
    review: bool = False
    sandbox: str = "auto"
    network: str = "open"
    sandbox_read: tuple[str, ...] = ()
    sandbox_write: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    caps: Caps = Caps()
    policy: Policy = HOUSE
    plan_file: str = ""
    target: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    wording: tuple[tuple[str, str], ...] = ()
    artifacts: tuple[str, ...] = ()
    work_tree: str = ""
