"""From a task of a Konductor plan to a task of ours: its files, what verifies it, and what its brief says besides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chargehand.domain.plan import Files, Scope, Task, TaskType
from chargehand.domain.test_changes import is_test
from chargehand.plans.file_list import beside_spans, cleaned, is_nothing, one_path
from chargehand.plans.konductor_done import Config, Standing, Summary
from chargehand.plans.konductor_file import FIELDS, PlanFile, PlanStep
from chargehand.plans.markdown import bullets, code_spans
from chargehand.plans.verify_text import Find, read_verify

__all__ = ["Made", "goal_of", "make_task", "truths"]

_NEW = re.compile(r"(?i)\b(?:create|created|new)\b")
_SUMMARY_CHARS = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A task and what is to be told of it; `is_later`: it follows another one of its plan that is still open."""

    task: Task
    told: tuple[str, ...] = ()
    is_later: bool = False


def make_task(
    ident: str,
    plan: PlanFile,
    step: PlanStep,
    *,
    path: str,
    config: Config,
    standing: Standing,
    find: Find,
    own: Summary | None,
    done: Sequence[tuple[str, Summary]],
) -> Made:
    """The task without its dependencies; `own` is an earlier summary of it, `done` those of the tasks before it."""
    files, told = _files(plan, step)
    verify = read_verify(step.texts.get("verify", ""), find)
    told += [f"verify {text}" for text in verify.told]
    task = Task(
        id=ident,
        title=step.title,
        description=_description(step, path),
        approach=plan.design,
        wave=plan.values["wave"],
        files=files,
        scope=Scope.REVIEW,
        acceptance=(*_criteria(step.texts.get("done", "")), *verify.criteria),
        verify=verify.commands,
        type=TaskType(plan.values.get("type", "execute")),
        needs_human=plan.values.get("autonomous") is False,
        allow_empty=standing is Standing.UNREVIEWED,
        background=tuple(_background(plan, config, standing, own, done)),
    )
    return Made(task=task, told=tuple(told))


def _description(step: PlanStep, path: str) -> str:
    parts = [f"Task {step.number} of the plan {path}.", step.texts.get("action", ""), step.notes]
    parts += [f"{name}: {text}" for name, text in step.texts.items() if name not in FIELDS]
    return "\n\n".join(part for part in parts if part)


def _criteria(text: str) -> list[str]:
    items = [bullet.body for bullet in bullets(text) if bullet.depth == 0]
    if items and text.lstrip()[:1] in "-*+0123456789":
        return [re.sub(r"\A(?:[-*+]|\d+[.)])\s+(?:\[.?\]\s+)?", "", item) for item in items]
    return [text] if text.strip() else []


# -- files ----------------------------------------------------------------------------------------


def _files(plan: PlanFile, step: PlanStep) -> tuple[Files | None, list[str]]:
    told: list[str] = []
    listed = _listed(step.texts.get("files", ""), told)
    if not listed:
        listed = [(path, False) for path in plan.values.get("files_modified", ())]
        told += ["lists no files: those of its plan are its scope"] if listed else []
    if not listed:
        return None, ["lists no files, and neither does its plan: it is unscoped"]
    create = [path for path, is_new in listed if is_new and not is_test(path)]
    test = [path for path, _ in listed if is_test(path)]
    modify = [path for path, is_new in listed if not is_new and not is_test(path)]
    return Files(create=tuple(create), modify=tuple(modify), test=tuple(test)), told


def _listed(text: str, told: list[str]) -> list[tuple[str, bool]]:
    """(path, whether it is said to be new) of each file that a text lists, by code spans where it has any."""
    found: dict[str, bool] = {}
    for line in text.split("\n"):
        spans = code_spans(line.strip())
        has_word = _NEW.search(line) is not None
        pieces = [(span, line) for span in spans] or [(piece, piece) for piece in line.split(",")]
        for piece, around in pieces:
            name = cleaned(piece)
            if is_nothing(name) or not (spans or one_path(name, told)):
                continue
            found.setdefault(name, has_word and _NEW.search(around.replace(piece, "") if spans else around) is not None)
        for name in beside_spans(line, told) if spans else ():
            found.setdefault(name, False)
    return list(found.items())


# -- what the brief says besides ------------------------------------------------------------------


def _background(
    plan: PlanFile, config: Config, standing: Standing, own: Summary | None, done: Sequence[tuple[str, Summary]]
) -> list[tuple[str, str]]:
    parts = [("Goal of the plan", plan.goal), *plan.others]
    parts += [(f"Summary of {name}", summary.text[:_SUMMARY_CHARS]) for name, summary in done]
    if requirements := plan.values.get("requirements"):
        parts.append(("Requirements", ", ".join(requirements)))
    if own is not None:
        parts.append((_EARLIER[standing], own.text[:_SUMMARY_CHARS]))
    commits = (
        ""
        if config.auto_commit
        else "Commits are not wanted (`git.auto_commit = false`): leave the change uncommitted."
    )
    parts.append(("Git settings", commits))
    return [(title, text) for title, text in parts if text.strip()]


_EARLIER = {
    Standing.OPEN: "An earlier summary",
    Standing.DONE: "An earlier summary",
    Standing.UNREVIEWED: "An earlier attempt says it is done, and no review passed: make it right",
    Standing.PENDING: "It was done on a branch that nobody accepted: do it again here",
    Standing.BLOCKED: "An earlier attempt was blocked",
}


# -- the phase ------------------------------------------------------------------------------------


def goal_of(phase: str, plans: Sequence[PlanFile]) -> str:
    """What is true when the phase is done: the goals of its plans."""
    parts = [f"Phase {phase}."]
    for plan in plans:
        name = f"{plan.number:03d} {plan.values.get('title') or f'plan {plan.number}'}"
        parts.append(f"{name}: {plan.goal}" if plan.goal else name)
    return "\n\n".join(parts)


def truths(plan: PlanFile) -> Iterator[str]:
    """What Konductor verifies backwards from the goal, on its three levels: it is true, there, and wired."""
    must = plan.values.get("must_haves", {})
    yield from must.get("truths", ())
    yield from (f"There is, and not as a stub: {each}" for each in must.get("artifacts", ()))
    yield from (f"It is wired: {each}" for each in must.get("key_links", ()))
