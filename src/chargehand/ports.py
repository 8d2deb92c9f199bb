"""What the engine needs from the world: small protocols and the values that cross them.

An adapter is free in how it does a thing; what it must keep is written in the docstring of each method and
checked by the contract suites in `chargehand.testing.contracts`. An adapter raises `AdapterError` when the
world fails; whatever can be expected to happen is a value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from chargehand.domain.commands import Request
from chargehand.domain.events import Event, Recorded
from chargehand.domain.outcome import (
    AttemptResult,
    ExitKind,
    GateResult,
    LandResult,
    MergeResult,
    Role,
    Sealed,
)
from chargehand.domain.plan import Command, EnvSpec, SetupSpec
from chargehand.domain.state import RunState

__all__ = [
    "Agent",
    "AgentEvent",
    "AttemptSpec",
    "Capabilities",
    "Check",
    "Clock",
    "EventKind",
    "EventReader",
    "Fleet",
    "GateJob",
    "Gates",
    "Inbox",
    "Integrator",
    "Journal",
    "LandJob",
    "Launch",
    "MergeJob",
    "MeterAccess",
    "ModelUsage",
    "Notice",
    "NoticeKind",
    "Notifier",
    "OnOutput",
    "OpenRun",
    "Opened",
    "Places",
    "Recovered",
    "Request",
    "RunStore",
    "SealJob",
    "Snapshots",
    "StreamAgent",
    "StreamEnd",
    "Workspace",
    "Workspaces",
]


# -- facts ----------------------------------------------------------------------------------------


class Journal(Protocol):
    """The append-only ordered store of events of one run; one writer."""

    def append(self, events: Sequence[Event], at: float) -> list[Recorded]:
        """Store all events or none, durably, in one transaction; sequence numbers start at 1, no gaps."""
        ...

    def read(self, after: int = 0) -> Iterator[Recorded]:
        """Yield the events with a sequence number greater than `after`, in order."""
        ...

    def close(self) -> None:
        """Give the store up; harmless when repeated."""
        ...


class Inbox(Protocol):
    """Where any process leaves a request; only the holder of the run takes them."""

    def put(self, request: Request) -> None:
        """Store a request durably."""
        ...

    def pending(self) -> list[Request]:
        """The requests not yet settled, oldest first."""
        ...

    def settle(self, request_id: str) -> None:
        """Forget a request whose events are in the journal."""
        ...

    def listen(self, wake: Callable[[], None]) -> None:
        """Call `wake` in the running event loop whenever a request may have come in, until `close`."""
        ...

    def close(self) -> None:
        """Stop listening and give the store up; harmless when repeated."""
        ...


class Snapshots(Protocol):
    """Where the state of a run is kept beside its journal, so that opening it need not fold all of it (SPEC 8).

    Disposable: a missing, damaged or foreign snapshot is no error, only slower.
    """

    def load(self) -> RunState | None:
        """The newest state that belongs to this journal and that this version understands, at its `seq`; or None."""
        ...

    def save(self, state: RunState) -> None:
        """Keep the state of now; a failure to do so is no error."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A run this process holds: journal, inbox, snapshots, and the folder for its files.

    `beat` says that the holder is alive, AdapterError when the lock was taken away; `release` gives the run up.
    """

    run: str
    folder: Path
    journal: Journal
    inbox: Inbox
    snapshots: Snapshots
    beat: Callable[[], None]
    release: Callable[[], None]


class RunStore(Protocol):
    """Where the runs of one repository live."""

    def create(self, run: str, first: Sequence[Event], at: float) -> OpenRun:
        """A new run with its first events, held by this process: there as a whole, or not at all.

        `UserError` when the id is taken (code `run_exists`) or not fit for a folder name.
        """
        ...

    def open(self, run: str) -> OpenRun:
        """Take an existing run up; `RunLocked` when another process holds it, `UserError` when there is none."""
        ...

    def read(self, run: str, after: int = 0, most: int | None = None) -> list[Recorded]:
        """The events of a run with a sequence number greater than `after`, in order, without holding it.

        At most the first `most` of them.
        """
        ...

    def snapshots(self, run: str) -> Snapshots:
        """The snapshots of a run, for a process that does not hold it: to load, not to save."""
        ...

    def inbox(self, run: str) -> Inbox:
        """The inbox of a run, for a process that does not hold it."""
        ...

    def runs(self) -> list[str]:
        """The ids of all runs, oldest first."""
        ...

    def holder(self, run: str) -> str | None:
        """Who holds the run now, in words; None when nobody does."""
        ...

    def folder(self, run: str) -> Path:
        """The folder of a run."""
        ...


class Clock(Protocol):
    """Wall-clock time in seconds since the epoch."""

    def now(self) -> float:
        """The current time."""
        ...


class NoticeKind(StrEnum):
    """What people are told about: a question, a run that waits for nothing but answers, or how a run ended."""

    DECISION = "decision"
    WAITING = "waiting"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    TEST = "test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to people: `title` is a line, `text` says in plain words what happened and what to do.

    `task`, `decision`, `choices` and `command` (the exact command that is asked about) are those of a question. All
    of it may hold untrusted text; the adapter makes it fit to show.
    """

    run: str
    kind: NoticeKind
    title: str
    text: str = ""
    task: str = ""
    decision: str = ""
    choices: tuple[str, ...] = ()
    command: str = ""


class Notifier(Protocol):
    """Tells people that something wants their attention; never fails the run."""

    def notify(self, notice: Notice) -> None:
        """Send one message from within the running event loop; answers at once, what takes time goes on behind it."""
        ...

    async def close(self) -> None:
        """Let what is under way go out, within a few seconds; harmless when repeated."""
        ...


# -- attempts -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSpec:
    """Everything a fleet needs for one attempt, by value: never a local path of the coordinator.

    `key` is unique in the run; `previous` is (base, commit) of the attempt before, shown as a patch;
    `ref` keeps what is sealed; `declared` are the write patterns of the task (sealed even when ignored), `reads`
    what it names for reading (given as context on demand); `agent` names an agent of the settings; `inputs` are
    (path, text) of plan and spec files copied read-only and never sealed. `session` names an earlier conversation of
    the agent that is gone on with; `turns`, `tokens` and `usd` bound what it may use (None: no bound of this kind).
    """

    key: str
    run: str
    task: str
    attempt: int
    role: Role
    base: str
    title: str
    brief: str
    agent: str
    model: str | None = None
    wall_s: float = 1800.0
    idle_s: float | None = 300.0
    previous: tuple[str, str] | None = None
    ref: str = ""
    declared: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    env: EnvSpec = EnvSpec()
    setup: SetupSpec | None = None
    inputs: tuple[tuple[str, str], ...] = ()
    session: str = ""
    turns: int | None = None
    tokens: int | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a fleet found of the attempts of a dead holder.

    `results` are attempts that had come to their end, and were sealed, before anybody could record it, by key;
    `told` says in words what was ended, rescued or kept.
    """

    results: Mapping[str, AttemptResult] = field(default_factory=dict)
    told: tuple[str, ...] = ()


class Fleet(Protocol):
    """Carries attempts out, here or on other machines."""

    async def submit(self, spec: AttemptSpec) -> None:
        """Start the attempt; a second submit with the same key is the same attempt."""
        ...

    async def wait(self, key: str) -> AttemptResult:
        """Wait for a submitted attempt; every ending is a result, sealed where anything could be sealed."""
        ...

    async def cancel(self, key: str, *, now: bool = False) -> None:
        """End the attempt and every process of it (INT, TERM, KILL; `now`: KILL); `wait` tells CANCELLED."""
        ...

    def listen(self, asked: Callable[[Event], None]) -> None:
        """Call `asked` with `CommandAsked` when a live attempt is held at a command, `CommandDropped` when it gave up.

        In the running event loop, until the fleet is left.
        """
        ...

    def rule(self, call: str, *, allow: bool, text: str) -> None:
        """Let a held call go on, or refuse it; `text` is told to the agent. A call that nobody holds is harmless."""
        ...

    async def recover(self, run: str, keys: Collection[str]) -> Recovered:
        """After a crash: end what still runs for `run`, and rescue what its workspaces hold.

        `keys` are the attempts whose outcome was never recorded.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterAccess:
    """How one attempt reaches its model provider through the meter.

    `base_url` is `http://127.0.0.1:PORT/t/TOKEN`, without a slash at its end; below it lie the paths of the provider's
    own interface (`/v1/messages`, `/v1/responses`, `/v1beta/models/…`). `token` is what the agent takes for its key.
    """

    base_url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Folders and files of one attempt on this machine; all absolute, the same inside a sandbox.

    `meter` is how the agent reaches its provider; None: directly.
    """

    workspace: Path
    home: Path
    tmp: Path
    scratch: Path
    brief: Path
    result: Path
    previous: Path | None = None
    port_base: int = 0
    meter: MeterAccess | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How an agent program is started; `env` is added to the environment of the attempt.

    `keys` adds variables whose value only the runtime knows: name in the attempt → name in the environment that
    Chargehand was started with. `home` are files (path below HOME → text) that are written before the start.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    stdin: bytes = b""
    keys: Mapping[str, str] = field(default_factory=dict)
    home: Mapping[str, str] = field(default_factory=dict)


class Agent(Protocol):
    """An adapter to a coding-agent program."""

    @property
    def name(self) -> str:
        """The name used in plans and settings."""
        ...

    def launch(self, spec: AttemptSpec, places: Places) -> Launch:
        """The program, its arguments and its input for one attempt."""
        ...

    def missing(self) -> str:
        """Why the program cannot be run here, or an empty string."""
        ...


# -- agents that tell what they do ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a program can do, and what its driver can tell about it.

    `dialect` is how it speaks to its provider (a value of `dialects.Dialect`; empty: not known). `resume`: a session
    can be gone on with by its id; `sums`: what it then tells of tokens counts the session from its beginning. `turns`
    and `usd`: it bounds them itself. `calls`: tool calls are told. `tokens` and `cost`: it tells what it used. `hook`:
    it asks a program of ours before each tool call, in the form of the program named. `login` are the files below
    HOME that hold a login.
    """

    dialect: str = ""
    resume: bool = False
    sums: bool = False
    turns: bool = False
    usd: bool = False
    calls: bool = False
    tokens: bool = False
    cost: bool = False
    hook: str = ""
    login: tuple[str, ...] = ()


class EventKind(StrEnum):
    """What an agent tells while it works."""

    STARTED = "started"  # `text` is the model, as far as it is told
    TEXT = "text"  # words to its reader
    CALL = "call"  # a tool is called; `text` is the command, the path or the like
    RESULT = "result"  # what a tool answered
    DENIED = "denied"  # a tool call that was refused; `text` as in CALL
    RETRY = "retry"  # the provider failed, and is asked again
    ERROR = "error"
    USED = "used"  # `usage` has grown


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUsage:
    """What one process used, as its program tells it. `input_tokens` counts those from the cache, too."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = None

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEvent:
    """One thing an agent tells of itself: untrusted text, never evidence [I6].

    `call` joins a RESULT to its CALL; `failed` marks a RESULT of a tool that failed; `usage` is what was used so far.
    """

    kind: EventKind
    text: str = ""
    tool: str = ""
    call: str = ""
    failed: bool = False
    usage: ModelUsage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    """What a program's stream comes to, once it has ended.

    `final_text` is its last message. `exit_kind` says how it really ended where the exit code does not: RATE_LIMITED
    or PROVIDER_DOWN (`retry_at` is a stated reset, seconds since the epoch), ENV_MISSING for a refused login,
    OVER_BUDGET for a limit of its own; None: the process speaks for itself. `failed`: the program tells of a failure,
    whatever its exit code. `detail` is a sentence for a human. `denials` are the tool calls that were refused.
    """

    final_text: str = ""
    session: str = ""
    model: str = ""
    usage: ModelUsage | None = None
    exit_kind: ExitKind | None = None
    retry_at: float | None = None
    failed: bool = False
    detail: str = ""
    denials: tuple[str, ...] = ()


class EventReader(Protocol):
    """Reads the output of one process. Whatever the process prints, nothing here raises."""

    def feed(self, line: str) -> Sequence[AgentEvent]:
        """What one line of standard output tells, without its line end."""
        ...

    def conclude(self, code: int | None, signal: int | None) -> StreamEnd:
        """What all of it came to; `code` and `signal` are those of the process. Called once, after the last line."""
        ...


class StreamAgent(Agent, Protocol):
    """An agent whose program tells on standard output, line by line, what it does."""

    @property
    def capabilities(self) -> Capabilities:
        """What the program can do."""
        ...

    def reader(self) -> EventReader:
        """A reader for one process."""
        ...


# -- workspaces -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """An isolated checkout; `slot` is its place in the pool."""

    path: Path
    slot: str
    commit: str
    branch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealJob:
    """What to seal: `ref` keeps the result; `claim` is the commit a report names."""

    workspace: Workspace
    ref: str
    message: str
    declared: tuple[str, ...] = ()
    claim: str | None = None
    inputs: tuple[str, ...] = ()


class Workspaces(Protocol):
    """Pooled checkouts outside the user's tree, each a repository of its own (ARCHITECTURE 3.2)."""

    async def acquire(
        self,
        commit: str,
        *,
        branch: str,
        keep: Sequence[str] = (),
        hide: Sequence[str] = (),
        declared: Sequence[str] = (),
    ) -> Workspace:
        """A clean checkout of `commit` on `branch` that nobody else has.

        `keep` patterns survive cleaning; untracked files at the paths in `hide` are no part of the work. `declared`
        patterns name ignored files that are, should they have to be rescued.
        """
        ...

    async def release(self, workspace: Workspace) -> None:
        """Give the checkout back to the pool; what is in it is lost, so seal or rescue first."""
        ...

    async def seal(self, job: SealJob) -> Sealed:
        """Fix everything in the workspace under `job.ref`, with a git directory no agent can write."""
        ...

    async def rescue(self, workspace: Workspace, prefix: str, message: str) -> str | None:
        """Keep tracked and untracked files under the next free ref `<prefix>/<n>`; None when nothing differs."""
        ...

    async def patch(self, base: str, commit: str, target: Path, limit: int) -> None:
        """Write the difference of two commits to `target`, cut at `limit` bytes."""
        ...

    async def read(self, commit: str, paths: Sequence[str], limit: int) -> dict[str, str]:
        """The text of the files of a commit that exist and are text, each cut at `limit` characters."""
        ...


# -- gates ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One command that must exit 0; `advisory` runs it for the record."""

    id: str
    run: Command
    wall_s: float
    idle_s: float | None = None
    junit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateJob:
    """Checks on one commit, in order, in one clean checkout after `setup`.

    `base` is where the change began; with `syntax` the files changed since are parsed first. `stop_early`
    ends the job at the first check that does not pass.
    """

    key: str
    run: str
    task: str
    attempt: int
    commit: str
    tree: str
    base: str
    checks: tuple[Check, ...]
    setup: SetupSpec | None = None
    env: EnvSpec = EnvSpec()
    syntax: bool = False
    stop_early: bool = False


class Gates(Protocol):
    """Runs deterministic checks in throw-away checkouts; they cannot change what they judge [I7]."""

    async def run(self, job: GateJob) -> tuple[GateResult, ...]:
        """One result per check that was run (`setup` and `syntax` included, in front), in order."""
        ...

    async def cancel(self, key: str) -> None:
        """End the job and every process of it; `run` then raises `asyncio.CancelledError`."""
        ...


# -- integration ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeJob:
    """Merge `commit` into `head`; the candidate is kept under `ref`; `message` holds the trailers."""

    head: str
    commit: str
    ref: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LandJob:
    """Move `branch` from `expect` to `commit`."""

    branch: str
    expect: str
    commit: str
    ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Where the integration branch stands; `conventions` are the convention files at its head."""

    head: str
    tree: str
    conventions: tuple[str, ...] = ()


class Integrator(Protocol):
    """Lands commits on the integration branch, without a work tree."""

    async def open(self, branch: str, base: str) -> Opened:
        """Create the branch at `base` unless it exists; answer where it stands."""
        ...

    async def head(self, branch: str) -> str | None:
        """Where the branch stands, or None."""
        ...

    async def contains(self, branch: str, commit: str) -> bool:
        """Whether the commit is on the first-parent line of the branch."""
        ...

    async def merge(self, job: MergeJob) -> MergeResult:
        """Build the candidate: always a merge commit, first parent `head`. The same job gives the same tree."""
        ...

    async def land(self, job: LandJob) -> LandResult:
        """Compare-and-swap; landing a commit on which the branch already stands is `Landed` again."""
        ...


OnOutput = Callable[[str, str], None]
"""Told the key of an attempt or gate job and the last line it printed."""
