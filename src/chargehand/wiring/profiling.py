"""How the profile of a plan gets into a run: its policy, its words, and its projection (SPEC 11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.options import RunOptions
from chargehand.domain.plan import Plan
from chargehand.domain.policy import Commits, Policy
from chargehand.domain.problem import Problem, Severity
from chargehand.domain.scope import is_literal, literal_path, matches
from chargehand.domain.state import RunState
from chargehand.ports import OwnReport, Projection
from chargehand.profiles import Profile, Site, profile_of
from chargehand.profiles.pen import Pen, Watched
from chargehand.settings import Settings
from chargehand.wiring.plan_places import refuse_outside

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = [
    "arranged",
    "gates_of_settings",
    "kept_files",
    "listed",
    "own_report",
    "profiled",
    "projections",
    "refuse",
    "rules_of",
    "shown",
    "site_of",
]


def arranged(plan: Plan, settings: Settings) -> Plan:
    """The plan as its profile runs it; UserError where that system has a gate of its own that says no."""
    try:
        profile = profile_of(plan.profile)
    except UserError:
        return plan  # it is told when the plan is checked
    if profile.arrange is None:
        return plan
    given = {"commands.build": settings.commands.build, "commands.test": settings.commands.test}
    return profile.arrange(plan, given)


def profiled(options: RunOptions, plan: Plan, root: Path | None = None) -> RunOptions:
    """The options with the bounds and words of the profile and the plan; UserError where they do not go together.

    `root` is the user's work tree.
    """
    profile = profile_of(plan.profile)
    if options.accept and not profile.accepts:
        text = f"With profile {profile.name} nothing is accepted without you: accept shows what is to land."
        raise UserError(text, code="accept_refused", hint="Leave out --accept, and use `chargehand accept` at the end.")
    jobs = min(options.jobs, plan.defaults.jobs or options.jobs)
    site = _site_of(root, options)
    if site is not None and profile.project is not None:
        refuse_outside(site, profile.name)
    artifacts = _artifacts(profile, plan, site)
    retries = options.caps.task_retries
    policy = profile.policy if retries is None else replace(profile.policy, retries=retries)
    return replace(options, policy=policy, wording=profile.wording, jobs=jobs, artifacts=artifacts)


def kept_files(plan: Plan, source: Path, root: Path) -> Iterator[Problem]:
    """A warning for each task that names a file to write which its system keeps: what is done there never lands.

    `source` is the plan file, `root` the user's work tree. Only paths are looked at, no patterns with wildcards.
    """
    try:
        profile = profile_of(plan.profile)
    except UserError:
        return  # it is told anyway
    artifacts = profile.artifacts
    with suppress(AdapterError):  # of a draft it may not be known where it lies
        artifacts = _artifacts(profile, plan, Site(root=root, source=source))
    for number, task in enumerate(plan.tasks):
        paths = (literal_path(each) for each in task.files.writes if is_literal(each)) if task.files else ()
        found = tuple(dict.fromkeys(path for path in paths if matches(artifacts, path)))
        if found:
            text = f"Task {task.id} is to write {', '.join(found)}, which only the runtime writes: it never lands."
            yield Problem(
                code="kept_file",
                message=text,
                severity=Severity.WARNING,
                hint="Take it out of the files of the task; it is written as the run goes on.",
                task=task.id,
                path=("tasks", number, "files"),
            )


def _artifacts(profile: Profile, plan: Plan, site: Site | None) -> tuple[str, ...]:
    if site is None or profile.artifacts_at is None:
        return profile.artifacts
    return (*profile.artifacts, *profile.artifacts_at(site, plan))


def rules_of(name: str) -> Iterator[tuple[str, str]]:
    """What a profile does otherwise than the house: (name, what it is there and here); none for unknown ones."""
    try:
        profile, house = profile_of(name), profile_of("house")
    except UserError:
        return  # it is told when the plan is checked
    for rule in (field.name for field in fields(Policy)):
        theirs, ours = getattr(profile.policy, rule), getattr(house.policy, rule)
        if theirs != ours:
            said = _COMMITS.get(theirs, "") if rule == "commits" else ""
            yield rule, f"{_word(theirs)} there, {_word(ours)} here{said}"
    if profile.wording:
        yield "wording", f"what its briefs say to {', '.join(role for role, _ in profile.wording)} is not said"
    if profile.arrange is not None:
        yield "arrange", "gates and bounds that it takes from settings, such as [commands], are to be put into the plan"
    if profile.report is not None:
        yield "report", "reports in its own form are not read"
    if not profile.accepts:
        yield "accepts", "--accept may land by itself"


_COMMITS: Mapping[object, str] = {
    Commits.AGENT: "; done without a commit of the agent's own has failed there, here the change is committed",
    Commits.RUNTIME: "; an attempt in which the agent commits has failed there, here its commits are taken",
}


def gates_of_settings(plan: Plan, settings: Settings) -> Iterator[tuple[str, str]]:
    """(name, what is lost) of the gates that the plan's profile makes of settings, and that no plan file has."""
    try:
        made = arranged(replace(plan, tasks=()), settings).gates  # what tasks lack is told when the plan is run
    except UserError:
        return  # nobody says which commands: that is told then, too
    more = [gate for gate in made if gate not in plan.gates]
    if more:
        listed = ", ".join(f"{gate.id} `{gate.run.text}`" for gate in more)
        yield "gates", f"the written plan has no gate for what [commands] say, so that nothing runs it: {listed}"


def _word(value: object) -> str:
    """A value of a policy for people."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if value is None:
        return "off"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def own_report(shop: Workshop, state: RunState) -> OwnReport | None:
    """What reads a report in the form of the plan's system; None where it has none."""
    site, profile = site_of(shop, state), _profile(state.plan)
    return profile.report(site, state.plan) if site is not None and profile.report is not None else None


def refuse(shop: Workshop, plan: Plan, source: Path, problems: Sequence[Problem]) -> None:
    """Leave the report of the plan's system, where it has one, of why a run is refused; AdapterError when it cannot."""
    root = shop.repository.root
    try:
        profile = profile_of(plan.profile)
    except UserError:
        return  # it is among the problems
    if root is not None and profile.refused is not None:
        profile.refused(Site(root=root, source=source if source.is_absolute() else shop.cwd / source), plan, problems)


def projections(shop: Workshop, state: RunState) -> tuple[Projection, ...]:
    """What shows the run in the files of its system; none for plans of our own."""
    site, profile = site_of(shop, state), _profile(state.plan)
    if site is None or profile.project is None:
        return ()
    site = replace(site, history=partial(shop.service.events, state.run))
    if profile.told is None:
        return (profile.project(site, state.plan),)
    folder = shop.store.folder(state.run) / "artifacts"
    pen = Pen(root=site.root.resolve(), folder=folder, read=profile.told)
    return (Watched(inner=profile.project(replace(site, pen=pen), state.plan), pen=pen),)


def shown(shop: Workshop, state: RunState, task: str | None = None) -> tuple[str, ...]:
    """What the plan's system says of a task, or of the run, in a form of its own; rows of text, none for our plans."""
    site, profile = site_of(shop, state), _profile(state.plan)
    if site is None or profile.shown is None:
        return ()
    try:
        return profile.shown(site, state, task)
    except AdapterError as error:
        return (str(error),)


def listed(shop: Workshop, state: RunState) -> tuple[str, ...]:
    """What is to be done, where the plan's system keeps a list of it: for the terminal, while the run goes on."""
    site, profile = site_of(shop, state), _profile(state.plan)
    if site is None or profile.shown is None or not profile.shown_live:
        return ()
    with suppress(AdapterError):  # `show` says it
        return profile.shown(site, state, None)
    return ()


def site_of(shop: Workshop, state: RunState) -> Site | None:
    """Where the files of the plan's system are; None where the run was not started from one.

    They are those of the work tree in which the run began, also where it is resumed or accepted in another one.
    """
    begun = Path(state.options.work_tree) if state.options.work_tree else None
    root = begun if begun is not None and shop.repository.is_work_tree(begun) else shop.repository.root
    return _site_of(root, state.options)


def _site_of(root: Path | None, options: RunOptions) -> Site | None:
    if root is None or not options.plan_file:
        return None
    source = Path(options.plan_file)
    return Site(root=root, source=source if source.is_absolute() else root / source)


def _profile(plan: Plan) -> Profile:
    return profile_of(plan.profile)
