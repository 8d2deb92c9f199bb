"""`chargehand show`: everything about one task, or what the plan's system says of the run (SPEC 10.1)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from chargehand.cli.call import Call, command, optional_task, run_option

if TYPE_CHECKING:
    from chargehand.cli.render.pen import Pen
    from chargehand.cli.stories import Story
    from chargehand.domain.state import RunState, TaskRecord
    from chargehand.wiring import Workshop

__all__ = ["show"]

_EXAMPLES = """
chargehand show api               state, attempts, gates
chargehand show api --diff        the whole change, as it landed or would land
chargehand show api --log         what the program of the author's last attempt printed
chargehand show api --brief       what that author was told
chargehand show api --log -n 3    of attempt 3, a reviewer's too
chargehand show                   the run as the system reports it whose plan it is
"""
_LOG_BYTES = 1 << 20


@command("show", examples=_EXAMPLES)
@optional_task
@click.option("--brief", "what", flag_value="brief", help="The brief, as the agent gets it.")
@click.option("--diff", "what", flag_value="diff", help="The whole change, fixes included, as a patch.")
@click.option("--log", "what", flag_value="log", help="What the agent's program printed (the last MiB).")
@click.option(
    "--attempt",
    "-n",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of which attempt; default: the author's last. With --diff: what that attempt changed, or what it judged.",
)
@run_option
async def show(call: Call, task: str | None, what: str | None, attempt: int | None, run: str | None) -> None:
    """Show TASK: where it is and why, its attempts, its gates; or one part of it alone.

    Without TASK: what the system whose plan it is reports of a run, such as its todo list. Of any run: `status`.
    """
    from chargehand.cli.looking import task_of
    from chargehand.cli.render.story import story_document, story_lines
    from chargehand.cli.stories import landed_together, tell_stories
    from chargehand.domain.evolve import fold
    from chargehand.wiring.profiling import shown

    if task is None and (what is not None or attempt is not None):
        raise click.UsageError("Name the task.")

    workshop = await call.open()
    name = workshop.service.newest(run)
    events = workshop.service.events(name)
    state = fold(events)
    if task is None:
        _print_run(call, workshop, state)
        return
    record = task_of(state, task)
    stories = tell_stories(events, task)
    now = workshop.clock.now()
    if what is not None:
        part = await _part(workshop, state, record, stories, what, attempt)
        _print_part(call, name, part)
    elif call.out.json:
        rows = shown(workshop, state, record.id)
        document = story_document(state, record, stories, now, landed_together(events, task))
        call.out.document({**document, "shown": list(rows)})
    else:
        pen = call.pen
        held = workshop.store.holder(name) is not None
        together = landed_together(events, task)
        call.out.say(*story_lines(state, record, stories, pen, now, together, held=held))
        call.out.say(*_drawn(shown(workshop, state, record.id), pen))


def _print_run(call: Call, workshop: Workshop, state: RunState) -> None:
    """What the plan's system reports; plans of our own have `status` for that."""
    from chargehand.wiring.profiling import shown

    rows, pen = shown(workshop, state), call.pen
    if call.out.json:
        call.out.document({"run": state.run, "shown": list(rows)})
        return
    none = [f"  profile {state.plan.profile} has no report of its own."]
    more = f"more: {pen.step(f'status {state.run}')}, or name a task"
    call.out.say(f"run {pen.draw(state.run, 'strong')}", *(_drawn(rows, pen) or none), "", more)


def _drawn(rows: tuple[str, ...], pen: Pen) -> list[str]:
    from chargehand.cli.render.pen import block

    lines = [line for row in rows for line in block(row, pen, indent=2)]
    return ["", *lines] if lines else []


def _print_part(call: Call, run: str, part: dict[str, object]) -> None:
    if call.out.json:
        call.out.document({"run": run, **part})
        return
    text = str(next(value for key, value in part.items() if key in {"brief", "diff", "log"}))
    call.out.text(text if text or "diff" not in part else f"{part.get('judged') or 'nothing changed'}\n")


async def _part(
    workshop: Workshop, state: RunState, record: TaskRecord, stories: list[Story], what: str, attempt: int | None
) -> dict[str, object]:
    from chargehand.cli.stories import pick

    if what == "brief" and not stories and attempt is None:
        return {"task": record.id, "attempt": None, "brief": _next_brief(state, record)}
    story = pick(stories, record.id, attempt)
    head: dict[str, object] = {"task": record.id, "attempt": story.number}
    if what == "brief":
        return head | {"brief": _brief(workshop, state, story)}
    if what == "log":
        return head | _log(workshop, state, story)
    if story.is_look:
        return head | _judged(record, story)
    return head | await _diff(workshop, record, story, whole=attempt is None)


def _brief(workshop: Workshop, state: RunState, story: Story) -> str:
    """The file the agent was given; put together anew from the journal where it is gone."""
    file = _folder(workshop, state, story) / "brief.md"
    if file.is_file():
        return file.read_text(encoding="utf-8", errors="replace")
    from chargehand.domain.brief import compose
    from chargehand.domain.brief_looks import compose_look
    from chargehand.domain.evolve import fold
    from chargehand.domain.outcome import LOOKERS

    put_together = compose_look if story.effect.role in LOOKERS else compose
    before = [recorded for recorded in workshop.service.events(state.run) if recorded.seq <= story.seq]
    return workshop.redacted(state.plan, put_together(fold(before), story.effect).text)


def _next_brief(state: RunState, record: TaskRecord) -> str:
    """What the agent would be told if the task started now."""
    from chargehand.domain.brief import compose
    from chargehand.domain.effects import StartAttempt
    from chargehand.domain.ids import attempt_key

    number = record.attempts + 1
    effect = StartAttempt(
        key=attempt_key(record.id, number, 0),
        task=record.id,
        attempt=number,
        role=record.role,
        base=state.head or state.base,
    )
    return compose(state, effect).text


def _log(workshop: Workshop, state: RunState, story: Story) -> dict[str, object]:
    """What was printed, once it is over: secrets are taken out of the files when the program has ended."""
    folder = _folder(workshop, state, story)
    found = [file for file in (folder / "setup.log", folder / "stdout.log", folder / "stderr.log") if file.is_file()]
    if story.finished_at is None:
        where = ", ".join(str(file) for file in found) or str(folder)
        held = workshop.store.holder(state.run) is not None
        doing = "is still running" if held else "was running when the run stopped and was not looked at since"
        text = f"Attempt {story.number} {doing}, and its log may hold secrets until it has ended: {where}"
        return {"log": text + "\n", "files": [str(file) for file in found]}
    if story.result is not None and story.result.log and not found:
        return {"log": _remembered(folder, story.number, story.result.output), "files": []}
    parts = [(file, text) for file in found if (text := _end(file))]
    text = "".join(f"--- {file.name}\n{text.rstrip()}\n" if len(parts) > 1 else text for file, text in parts)
    return {"log": text, "files": [str(file) for file in found]}


def _remembered(folder: Path, number: int, output: str) -> str:
    """What the journal has of an output whose files were deleted: they are no projection that could be rebuilt."""
    head = f"The output of attempt {number} is not in {folder} any more"
    if not output:
        return f"{head}; the journal has nothing of it.\n"
    return f"{head}. Its end, as the journal has it:\n{output.rstrip()}\n"


def _end(file: Path) -> str:
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _LOG_BYTES))
        text = stream.read().decode("utf-8", "replace")
    return text if size <= _LOG_BYTES else f"[the first {size - _LOG_BYTES:,} bytes are in {file}]\n{text}"


def _folder(workshop: Workshop, state: RunState, story: Story) -> Path:
    return workshop.store.folder(state.run) / "attempts" / story.effect.task / str(story.number)


def _judged(record: TaskRecord, story: Story) -> dict[str, object]:
    """What one looked at who changes nothing."""
    from chargehand.cli.render.units import short

    effect = story.effect
    since = effect.since or effect.base
    what = f"gate {effect.gate} of commit" if effect.gate else "commit"
    text = f"Attempt {story.number} ({effect.role.value}) changed nothing: it only looked"
    text += f" at {what} {short(effect.commit)}, at what changed since {short(since)}." if effect.commit else "."
    text += f" The change itself: `chargehand show {record.id} --diff`."
    return {"base": since, "commit": effect.commit or None, "diff": "", "judged": text}


async def _diff(workshop: Workshop, record: TaskRecord, story: Story, *, whole: bool) -> dict[str, object]:
    """One attempt's change; without a number the whole change of the task: fixes, and what `fix` commands mended."""
    from chargehand.domain.errors import UserError

    sealed = story.result.sealed if story.result else None
    goes_on = whole and record.sealed is not None and (sealed is not None or record.fix_base is not None)
    sealed = record.sealed if goes_on else sealed
    if sealed is None:
        why = story.result.seal_problem if story.result else "It is still running."
        raise UserError(
            f"Attempt {story.number} of {record.id} left nothing sealed. {why}".strip(),
            code="nothing_sealed",
            hint=f"See `chargehand show {record.id} --log`.",
        )
    base = record.origin if goes_on and record.origin else sealed.base
    text = await workshop.diff(base, sealed.commit)
    return {"base": base, "commit": sealed.commit, "diff": text}
