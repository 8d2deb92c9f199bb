"""Everything of one repository, built when it is needed. Front ends get all they use from here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters import rescues
from chargehand.adapters.clock import SteadyClock
from chargehand.adapters.git import Repository
from chargehand.adapters.git.ancestry import taken_over, why_absent
from chargehand.adapters.git.reading import write_patch
from chargehand.adapters.lock import one_at_a_time
from chargehand.adapters.run_store import FolderRunStore
from chargehand.domain.check import World, programs_of
from chargehand.domain.errors import UserError
from chargehand.domain.events import RunStarted
from chargehand.domain.options import RunOptions
from chargehand.domain.plan import Plan
from chargehand.domain.secrecy import Vault
from chargehand.domain.state import RunState
from chargehand.engine.dispatch import Ports
from chargehand.engine.service import Service
from chargehand.plans.detect import read_plan
from chargehand.plans.loaded import LoadedPlan
from chargehand.ports import OpenRun
from chargehand.settings import Settings, load_settings, merge_into
from chargehand.wiring import starting
from chargehand.wiring.casting import cast, refuse_missing_agents
from chargehand.wiring.places import Places
from chargehand.wiring.plan_places import named_from_root
from chargehand.wiring.profiling import arranged, profiled
from chargehand.wiring.providers import check_providers
from chargehand.wiring.questioning import agreed, questioned
from chargehand.wiring.secrecy import known_secrets

if TYPE_CHECKING:
    from chargehand.adapters.rescues import Rescued
    from chargehand.adapters.sandbox import SandboxChoice
    from chargehand.wiring.doctor import Finding, Subject
    from chargehand.wiring.housekeeping import Cleaned
    from chargehand.wiring.landing import Acceptance, Landing

__all__ = ["Workshop", "open_workshop"]


@dataclass
class Workshop:
    """The parts of one repository. `on_output` is told the last line an attempt or gate printed, by effect key."""

    repository: Repository
    settings: Settings
    environ: Mapping[str, str]
    cwd: Path
    places: Places
    on_output: Callable[[str, str], None] | None = None
    clock: SteadyClock = field(default_factory=SteadyClock)
    _choices: dict[str, SandboxChoice] = field(default_factory=dict, repr=False)

    @property
    def state(self) -> Path:
        """The folder of journals, logs and crash reports."""
        return self.places.state

    @cached_property
    def store(self) -> FolderRunStore:
        """Where the runs are."""
        return FolderRunStore(self.places.runs, vault=self.vault)

    @cached_property
    def vault(self) -> Vault:
        """The secrets that this process knows of, and those it learns while it works."""
        return known_secrets(self.environ, self.settings)

    @cached_property
    def service(self) -> Service:
        """The use cases."""
        return Service(self.store, self.build, self.clock, self.project)

    async def sandbox(self, wanted: str) -> SandboxChoice:
        """The sandbox that runs get; probed once per process."""
        from chargehand.adapters.sandbox import choose

        if wanted not in self._choices:
            self._choices[wanted] = await choose(wanted)
        return self._choices[wanted]

    # -- plans ------------------------------------------------------------------------------------

    def load_plan(self, path: Path | None) -> LoadedPlan:
        """Read the plan that is meant and join it with the settings; problems are part of the answer."""
        return self._joined(read_plan(path, self.repository.root or self.cwd))

    async def load_plan_at(self, path: Path | None, base: str) -> LoadedPlan:
        """The same held against git: what its source says is done counts where `base` has it, and only there."""
        return self._joined(await self.read_plan_at(path, base))

    async def read_plan_at(self, path: Path | None, base: str) -> LoadedPlan:
        """The plan as its source has it, held against git, and not joined with the settings.

        Where what git has changes which plan is meant, the claims of that one are looked up, too.
        """
        loaded = read_plan(path, self.repository.root or self.cwd)
        while loaded.redo is not None and (named := {**loaded.landed, **loaded.pending, **loaded.staged}):
            commit = await self.repository.resolve(base)
            shallow = self.repository.shallow_file.exists()
            why = await why_absent(self.repository.plumbing(), commit, tuple(named.values()), is_shallow=shallow)
            absent = {claim: why[name] for claim, name in loaded.landed.items() if name in why}
            there = [claim for claim, name in loaded.pending.items() if name not in why and not shallow]
            held = await taken_over(self.repository.plumbing(), commit, loaded.staged.values())
            there += [claim for claim, name in loaded.staged.items() if name in held]
            if not absent and not there:
                break
            loaded = loaded.redo(absent, there)
        return loaded

    def _joined(self, loaded: LoadedPlan) -> LoadedPlan:
        if loaded.plan is None:
            return loaded
        return replace(loaded, plan=arranged(merge_into(loaded.plan, self.settings, loaded.stated), self.settings))

    async def world(self, plan: Plan, base: str = "HEAD") -> World:
        """What `check` holds a plan against: the programs that are found, and the files of the base."""
        path = self.environ.get("PATH", "")
        programs = frozenset(name for name in programs_of(plan) if shutil.which(name, path=path))
        listed = await self.repository.git().run("ls-tree", "-r", "-z", "--name-only", base)
        names = listed.stdout.split(b"\0")
        return World(programs=programs, files=frozenset(name.decode("utf-8", "replace") for name in names if name))

    async def new_run(
        self,
        plan: Plan,
        *,
        base: str | None = None,
        run_id: str | None = None,
        only: Sequence[str] = (),
        jobs: int | None = None,
        review: bool = True,
        plan_file: Path | None = None,
        files: Sequence[Path] = (),
    ) -> RunStarted:
        """The first event of a new run of a checked plan; nothing is changed yet.

        `files` are those the plan was read from, where that is more than `plan_file`.
        """
        settings = self.settings
        review = review and plan.features.code_review
        settled = cast(plan, settings, self.cwd)
        plan = settled.plan
        refuse_missing_agents(plan, settled, review=review)
        unknown = [task for task in only if task not in {t.id for t in plan.tasks}]
        if unknown:
            raise UserError(f"The plan has no task {unknown[0]}.", code="unknown_task", hint="See `chargehand check`.")
        options = RunOptions(
            agent=settled.agent,
            agents=settled.agents,
            reviewer=settled.reviewer,
            jobs=jobs or settings.jobs,
            unattended=settings.unattended,
            accept=settings.accept,
            review=review,
            sandbox=settings.sandbox.kind,
            network=settings.sandbox.network,
            sandbox_read=settings.sandbox.read,
            sandbox_write=settings.sandbox.write,
            only=tuple(only),
            caps=settings.caps,
            plan_file=named_from_root(self.repository.root, self.cwd / plan_file) if plan_file else "",
            work_tree=str(self.repository.root or ""),
            target=await self.current_branch() or "",
        )
        options = profiled(options, plan, self.repository.root)
        files = files or ([plan_file] if plan_file else [])
        await check_providers(self, plan, options)
        asked = questioned(plan, agreed(settings))
        event = await starting.begin(self.repository, self.store, plan, options, base=base, run_id=run_id, files=files)
        return replace(event, questioned=asked)

    async def start(self, event: RunStarted, *, any_id: bool, alone: bool = False) -> OpenRun:
        """Create the run; with `any_id` the next free id is taken when another process was faster.

        With `alone` it is refused beside an unfinished run of the same plan, also one that begins at this moment.
        """
        with one_at_a_time(self.places.runs / ".starting"):
            if alone:
                starting.refuse_second_run(self.service, self.store, event.plan)
            return await self._start(event, any_id=any_id)

    async def _start(self, event: RunStarted, *, any_id: bool) -> OpenRun:
        while True:
            try:
                return self.service.start(event)
            except UserError as error:
                if error.code != "run_exists" or not any_id:
                    raise
            event = await starting.renamed(self.repository, self.store, event)

    async def current_branch(self) -> str | None:
        """The branch the user's checkout is on; None when HEAD is detached."""
        got = await self.repository.git().run("symbolic-ref", "--quiet", "--short", "HEAD", ok=(0, 1))
        return got.stdout.decode("utf-8", "surrogateescape").strip() or None

    async def uncommitted(self, known: Iterable[str] = ()) -> int:
        """How many paths of the user's checkout differ from its commit, without ignored, `known` and settings files.

        Only read: neither the index nor anything else is written, no hook and no fsmonitor runs.
        """
        if self.repository.root is None:
            return 0
        home = Path(self.environ.get("HOME") or "/nonexistent")
        default = Path(self.environ.get("XDG_CONFIG_HOME") or home / ".config") / "git" / "ignore"
        excludes = self.repository.config.get("core.excludesfile") or str(default)
        if excludes.startswith("~/"):
            excludes = str(home / excludes[2:])
        words = ("status", "--porcelain", "-z", "--ignore-submodules=dirty", "--no-renames")
        got = await self.repository.git().run("-c", f"core.excludesFile={excludes}", *words)
        paths = {entry[3:].decode("utf-8", "surrogateescape") for entry in got.stdout.split(b"\0") if entry}
        return len(paths - {*known, "chargehand.toml"})

    async def diff(self, base: str, commit: str, limit: int = 1 << 20) -> str:
        """The difference of two commits as text."""
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "patch"
            await write_patch(self.repository.plumbing(), base, commit, target, limit)
            return _shown(target.read_text(encoding="utf-8", errors="replace"))

    def redacted(self, plan: Plan, text: str) -> str:
        """Text without the secrets that the programs of a plan are given, as far as they are known now (SPEC 7.3)."""
        from chargehand.adapters.environment import Environment, Identity
        from chargehand.adapters.output import Redactor

        environment = Environment(outer=self.environ, identity=Identity(), vault=self.vault)
        return Redactor(environment.vault(plan.env)).text(text)

    # -- driving ----------------------------------------------------------------------------------

    async def build(self, held: OpenRun, state: RunState) -> Ports:
        """The adapters of one run."""
        from chargehand.wiring.ports import build_ports

        return await build_ports(self, held, state)

    def look_for_edits(self, run: str, *, unattended: bool | None = None) -> RunState:
        """As `wiring.edited.look_for_edits`."""
        from chargehand.wiring.edited import look_for_edits

        return look_for_edits(self, run, unattended=unattended)

    async def project(self, held: OpenRun, tell: Callable[[str], None] | None) -> None:
        """Bring the receipts of a held run up to date."""
        from chargehand.wiring.receipts import project

        await project(self, held.run, tell)

    # -- after a run ------------------------------------------------------------------------------

    async def accept_plan(self, run: str, target: str | None, *, squash: bool = False) -> Landing:
        """What `accept` would land, and where."""
        from chargehand.wiring.landing import look_before

        return await look_before(self, run, target, squash=squash)

    async def accept(self, run: str, target: str | None, *, squash: bool) -> Acceptance:
        """Land the integration branch; `UserError` says why it was refused, and then nothing changed."""
        from chargehand.wiring.landing import accept

        return await accept(self, run, target, squash=squash)

    async def clean(self, *, dry_run: bool) -> Cleaned:
        """Remove what nobody needs any more."""
        from chargehand.wiring.housekeeping import clean

        return await clean(self, dry_run=dry_run)

    async def examine(self, subject: Subject) -> list[Finding]:
        """What `doctor` reports; changes nothing. Repairs are carried out by `chargehand.wiring.doctor.mend`."""
        from chargehand.wiring.doctor import examine

        return await examine(self, subject)

    async def try_notifications(self) -> list[Finding]:
        """Send a test message by every channel that is set."""
        from chargehand.wiring.doctor.telling import try_channels

        return await try_channels(self)

    async def rescues(self, run: str | None) -> list[Rescued]:
        """The rescued states, oldest first."""
        return await rescues.list_rescues(self.repository, run or "")

    async def rescue_show(self, name: str) -> str:
        """A rescued state as a patch."""
        return _shown(await rescues.show_rescue(self.repository, name))

    async def rescue_restore(self, name: str, *, branch: str | None, to: Path | None) -> str:
        """Put a rescued state on a new branch, or into a new folder; never into the checkout. Says where."""
        if to is not None:
            return str(await rescues.restore_to_folder(self.repository, name, to))
        return await rescues.restore_to_branch(self.repository, name, branch or f"rescued/{name}")


def _shown(patch: str) -> str:
    """A patch without what looks like a secret, which an agent may have added."""
    from chargehand.adapters.secret_formats import without_secrets

    return without_secrets(patch)


async def open_workshop(
    *,
    repo: Path | None,
    state_dir: Path | None,
    sets: Sequence[str],
    flags: Mapping[str, object],
    env: Mapping[str, str],
) -> Workshop:
    """Find the repository, read the settings; `UserError` says what is wrong with either."""
    cwd = Path.cwd()
    if "\n" in str((repo or cwd).absolute()):
        hint = "Rename the folder, or work in a clone elsewhere."
        raise UserError("The path of the repository holds a line break.", code="bad_path", hint=hint)
    repository = await Repository.discover(repo or cwd, env)
    settings = load_settings(repository.root, env, sets, flags, cwd=cwd)
    chosen = state_dir or settings.state_dir
    places = Places.of(repository, (cwd / chosen) if chosen else None, env)
    return Workshop(repository=repository, settings=settings, environ=dict(env), cwd=cwd, places=places)
