"""Everything that can be said about a plan before a token is spent (SPEC 2.2): all problems at once, and its shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chargehand.domain import graph
from chargehand.domain.plan import Barrier, Command, Plan
from chargehand.domain.problem import Path, Problem, Severity, nearest
from chargehand.domain.scope import is_literal, literal_path, matches, validate
from chargehand.domain.suspicion import injection_in, placeholder_in, secret_in
from chargehand.domain.turns import Turn, Turns, taking_turns
from chargehand.domain.variables import is_private

__all__ = [
    "RESERVED_GATES",
    "Survey",
    "World",
    "check",
    "program_of",
    "programs_of",
    "survey",
]

RESERVED_GATES = ("setup", "syntax", "verify")
"""Names the runtime gives to checks of its own; `verify-…` is one of them too."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_WORD = re.compile(r"[A-Za-z0-9_./+-]+(?=\s|$)")
_SHELL_WORDS = frozenset(
    {".", ":", "[", "[[", "alias", "bg", "break", "case", "cd", "command", "continue", "do", "done", "echo", "elif"}
    | {"else", "esac", "eval", "exec", "exit", "export", "fg", "fi", "for", "function", "getopts", "hash", "if", "in"}
    | {"jobs", "kill", "local", "printf", "pwd", "read", "readonly", "return", "set", "shift", "source", "test"}
    | {"then", "time", "times", "trap", "true", "false", "type", "ulimit", "umask", "unalias", "unset", "until"}
    | {"wait", "while"}
)
_MANY_FILES = 5
_MANY_TASKS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a plan is held against: programs that were found (of `programs_of`), and the files of the base."""

    programs: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The shape of a plan and what is wrong with it; the graph's part is empty when it has a cycle."""

    problems: tuple[Problem, ...] = ()
    waves: tuple[tuple[str, ...], ...] = ()
    critical_path: tuple[str, ...] = ()
    width: int = 0
    width_exact: bool = True
    serialised: tuple[Turn, ...] = ()


def check(plan: Plan, world: World | None = None) -> tuple[Problem, ...]:
    """All problems of a plan; without a world, programs are not looked for."""
    return survey(plan, world).problems


def survey(plan: Plan, world: World | None = None) -> Survey:
    """Check a plan and work out its waves, its critical path, its width and what takes turns."""
    needs: dict[str, tuple[str, ...]] = {}
    for task in plan.tasks:
        needs.setdefault(task.id, task.depends_on)
    problems = [*_names(plan), *_dependencies(plan, needs), *_paths(plan), *_texts(plan), *_sizes(plan), *_values(plan)]
    if world is not None:
        problems += _programs(plan, world)
    cycle = graph.find_cycle(needs)
    if cycle:
        problems.append(_cycle_problem(plan, cycle))
    if cycle or len(needs) < len(plan.tasks):
        return Survey(problems=tuple(problems))
    strict = plan.barrier is Barrier.WAVE
    waves = graph.waves(needs, {task.id: task.wave for task in plan.tasks}, strict=strict, within=plan.inferred)
    problems += _wave_order(plan, waves)
    turns = taking_turns(plan.tasks, needs, waves if strict else None)
    return Survey(
        problems=(*problems, *_turn_warnings(plan, turns)),
        waves=_by_wave(waves),
        critical_path=graph.critical_path(needs),
        width=graph.width(needs),
        width_exact=len(needs) <= graph.EXACT_WIDTH_NODES,
        serialised=turns.entries,
    )


def _by_wave(waves: dict[str, int]) -> tuple[tuple[str, ...], ...]:
    groups: dict[int, list[str]] = {}
    for task, wave in waves.items():
        groups.setdefault(wave, []).append(task)
    return tuple(tuple(groups[wave]) for wave in sorted(groups))


# -- names ----------------------------------------------------------------------------------------


def _names(plan: Plan) -> Iterator[Problem]:
    if not _SLUG.fullmatch(plan.plan):
        message = f"The plan's name '{plan.plan}' is not a slug."
        hint = "Use lower-case letters, digits and '-', at most 64, beginning with a letter or digit."
        yield Problem(code="bad_id", message=message, hint=hint, path=("plan",))
    if not plan.tasks:
        yield Problem(code="no_task", message="The plan has no task.", hint="Add one under 'tasks:'.", path=("tasks",))
    yield from _ids("task", "tasks", [task.id for task in plan.tasks])
    yield from _ids("gate", "gates", [gate.id for gate in plan.gates])
    for number, gate in enumerate(plan.gates):
        if gate.id in RESERVED_GATES or gate.id.startswith("verify-"):
            message = f"The gate id '{gate.id}' is the name of a check of the runtime."
            yield Problem(code="bad_id", message=message, hint="Choose another.", path=("gates", number, "id"))
    gates = [gate.id for gate in plan.gates]
    for number, gate_id in enumerate(plan.allow_red):
        if gate_id not in gates:
            message = f"allow_red names '{gate_id}', which is no gate of the plan."
            hint, path = nearest(gate_id, gates), ("allow_red", number)
            yield Problem(code="unknown_gate", message=message, severity=Severity.WARNING, hint=hint, path=path)


def _ids(kind: str, where: str, ids: Sequence[str]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for number, name in enumerate(ids):
        path: Path = (where, number, "id")
        task = name if kind == "task" else ""
        if not _ID.fullmatch(name):
            message = f"The {kind} id '{name}' is not allowed."
            hint = "Use letters, digits, '.', '_' and '-', at most 64, beginning with a letter or digit."
            yield Problem(code="bad_id", message=message, hint=hint, path=path, task=task)
        elif ".." in name or name.endswith((".", ".lock")):
            message = f"The {kind} id '{name}' cannot be part of a git ref."
            hint = "Leave out '..', and '.' or '.lock' at the end."
            yield Problem(code="bad_id", message=message, hint=hint, path=path, task=task)
        if name in first:
            message = f"The {kind} id '{name}' is used twice: as {kind} {first[name] + 1} and {kind} {number + 1}."
            yield Problem(code="duplicate_id", message=message, hint="Rename one of them.", path=path, task=task)
        first.setdefault(name, number)


# -- the graph ------------------------------------------------------------------------------------


def _dependencies(plan: Plan, needs: graph.Needs) -> Iterator[Problem]:
    for number, task in enumerate(plan.tasks):
        for place, wanted in enumerate(task.depends_on):
            if wanted not in needs:
                message = f"Task {task.id} depends on '{wanted}', which is no task of the plan."
                hint = nearest(wanted, needs) or "Add the task, or remove the dependency."
                path: Path = ("tasks", number, "depends_on", place)
                yield Problem(code="unknown_dependency", message=message, hint=hint, path=path, task=task.id)


def _cycle_problem(plan: Plan, cycle: Sequence[str]) -> Problem:
    number, task = next((n, t) for n, t in enumerate(plan.tasks) if t.id == cycle[0])
    shown = " -> ".join(cycle) if len(cycle) <= 20 else " -> ".join((*cycle[:18], "…", cycle[-1]))
    return Problem(
        code="cycle",
        message=f"The dependencies form a cycle: {shown}.",
        hint="Each depends on the next; remove one of the dependencies.",
        path=("tasks", number, "depends_on"),
        task=task.id,
    )


def _wave_order(plan: Plan, waves: dict[str, int]) -> Iterator[Problem]:
    strict = plan.barrier is Barrier.WAVE
    for number, task in enumerate(plan.tasks):
        if task.wave is None or waves[task.id] == task.wave:
            continue
        late = max((name for name in task.depends_on if name in waves), key=waves.__getitem__)
        rule = "later than" if strict and task.id not in plan.inferred else "not earlier than"
        message = f"Task {task.id} is in wave {task.wave}, but it depends on {late} in wave {waves[late]}."
        hint = f"With barrier {plan.barrier} a task's wave is {rule} those of its dependencies."
        yield Problem(code="wave_order", message=message, hint=hint, path=("tasks", number, "wave"), task=task.id)


def _turn_warnings(plan: Plan, turns: Turns) -> Iterator[Problem]:
    number_of = {task.id: number for number, task in enumerate(plan.tasks)}
    for turn in turns.entries:
        names = ", ".join(turn.tasks[:4]) + (f" and {len(turn.tasks) - 4} more" if len(turn.tasks) > 4 else "")
        who = "both" if len(turn.tasks) == 2 else "all" if turn.all_pairs else "partly"
        message = f"Tasks {names} could run together, but {who} {turn.because}; they will be serialised."
        hint = "Give them files of their own, or an order with depends_on."
        yield _warning("serialised", message, ("tasks", number_of[turn.tasks[0]]), turn.tasks[0], hint)
    if turns.omitted:
        message = f"{turns.omitted} more groups of tasks will be serialised; they are not listed."
        yield _warning("serialised", message, ("tasks",))
    if not turns.complete:
        message = "There are too many overlapping patterns to compare all of them; more tasks may be serialised."
        yield _warning("serialised", message, ("tasks",))


def _warning(code: str, message: str, path: Path, task: str = "", hint: str = "", command: str = "") -> Problem:
    return Problem(
        code=code, message=message, severity=Severity.WARNING, hint=hint, path=path, task=task, command=command
    )


# -- paths ----------------------------------------------------------------------------------------


def _paths(plan: Plan) -> Iterator[Problem]:
    for where, patterns in _plan_paths(plan):
        yield from _unsafe(where, patterns, "")
    for number, task in enumerate(plan.tasks):
        if task.files is None:
            continue
        for kind in ("create", "modify", "test", "read"):
            yield from _unsafe(("tasks", number, "files", kind), getattr(task.files, kind), task.id)
        if not task.files.writes and not task.allow_empty:
            message = f"Task {task.id} lists files, but none it may change: whatever it does is out of scope."
            hint = "Add create, modify or test; or leave 'files' out; or set allow_empty."
            yield _warning("no_writes", message, ("tasks", number, "files"), task.id, hint)


def _plan_paths(plan: Plan) -> Iterator[tuple[Path, Sequence[str]]]:
    yield ("allowlist",), plan.allowlist
    if plan.setup is not None:
        yield ("setup", "key"), plan.setup.key
        yield ("setup", "keep"), plan.setup.keep


def _unsafe(where: Path, patterns: Sequence[str], task: str) -> Iterator[Problem]:
    for place, pattern in enumerate(patterns):
        problem = validate(pattern)
        if problem is not None:
            message = f"The path {pattern!r} {problem}"
            yield Problem(code="unsafe_path", message=message, path=(*where, place), task=task)


# -- texts and sizes ------------------------------------------------------------------------------


def _texts(plan: Plan) -> Iterator[Problem]:
    for path, task, text in _all_texts(plan):
        found = placeholder_in(text) if task else ""
        if found:
            message = f"The {path[2]} of task {task} is not finished: it says '{found}'."
            yield _warning("placeholder", message, path, task, "Say what is to be done.")
        found = injection_in(text)
        if found:
            where = f"task {task}" if task else "the plan"
            message = f"The {path[2 if task else 0]} of {where} reads like an order to the agent: '{found}'."
            yield _warning("prompt_injection", message, path, task, "Make sure you know where this text comes from.")
    for name, value in plan.env.values:
        if secret_in(value):
            message = f"env.set.{name} looks like a secret, and plans are not a place for secrets."
            hint = f"Set it in your environment and pass it on: env: {{pass: [{name}]}}."
            yield _warning("secret", message, ("env", "set", name), "", hint)


def _all_texts(plan: Plan) -> Iterator[tuple[Path, str, str]]:
    yield ("goal",), "", plan.goal
    for number, text in enumerate(plan.success_criteria):
        yield ("success_criteria", number), "", text
    for number, risk in enumerate(plan.risks):
        yield ("risks", number), "", f"{risk.risk}\n{risk.mitigation}"
    for number, task in enumerate(plan.tasks):
        for key in ("title", "description", "approach"):
            yield ("tasks", number, key), task.id, getattr(task, key)
        for key in ("acceptance", "mandates"):
            for place, text in enumerate(getattr(task, key)):
                yield ("tasks", number, key, place), task.id, text


def _sizes(plan: Plan) -> Iterator[Problem]:
    for number, task in enumerate(plan.tasks):
        if not task.title.strip():
            hint = "Say in one line what it is."
            yield Problem(
                code="bad_value",
                message=f"Task {task.id} has an empty title.",
                hint=hint,
                path=("tasks", number, "title"),
                task=task.id,
            )
        if not task.verify and not task.acceptance:
            message = f"Task {task.id} has neither verify commands nor acceptance criteria."
            hint = "Say how anyone can tell that it is done."
            yield _warning("no_criteria", message, ("tasks", number), task.id, hint)
        count = len(dict.fromkeys(task.files.writes)) if task.files else 0
        if count > _MANY_FILES:
            message = f"Task {task.id} lists {count} files; more than {_MANY_FILES} are hard to review."
            yield _warning("many_files", message, ("tasks", number, "files"), task.id, "Split it.")
    if len(plan.tasks) > _MANY_TASKS and all(task.wave is None for task in plan.tasks):
        message = f"The plan has {len(plan.tasks)} tasks and no waves."
        hint = "Give the tasks a 'wave', so that progress has stages."
        yield _warning("no_waves", message, ("tasks",), "", hint)


# -- values that programs are given ---------------------------------------------------------------


def _values(plan: Plan) -> Iterator[Problem]:
    """What would be taken for something else than it says: a folder that is private, a model that is an option."""
    for name, _ in plan.env.values:
        if is_private(name):
            message = f"env.set.{name} cannot be set: every attempt and every check has a folder of its own for it."
            yield Problem(code="bad_value", message=message, hint="Take it out.", path=("env", "set", name))
    yield from _model(plan.defaults.model, "The model of the defaults", ("defaults", "model"))
    for number, task in enumerate(plan.tasks):
        if task.model != plan.defaults.model:
            yield from _model(task.model, f"The model of task {task.id}", ("tasks", number, "model"), task.id)


def _model(model: str | None, what: str, path: Path, task: str = "") -> Iterator[Problem]:
    if model is not None and model.startswith("-"):
        message = f"{what}, {model!r}, begins with '-', which a program would take for one of its options."
        yield Problem(code="bad_value", message=message, hint="Write the name of a model.", path=path, task=task)


# -- programs -------------------------------------------------------------------------------------


def program_of(command: Command) -> str:
    """The program a command starts; empty when that cannot be told without running a shell."""
    if not command.shell:
        return "" if command.argv[0].startswith("$") else command.argv[0]
    found = _WORD.match(command.argv[0].lstrip())
    return found[0] if found and found[0] not in _SHELL_WORDS else ""


def programs_of(plan: Plan) -> tuple[str, ...]:
    """The programs to look for on PATH (or, absolute, on the disk) to fill in `World.programs`."""
    names = dict.fromkeys(program_of(command) for _, _, command, _ in _commands(plan))
    return tuple(name for name in names if name and ("/" not in name or name.startswith("/")))


def _commands(plan: Plan) -> Iterator[tuple[Path, str, Command, bool]]:
    """Path, task, command, and whether nothing goes without it."""
    if plan.setup is not None:
        yield ("setup", "run"), "", plan.setup.run, True
    for number, gate in enumerate(plan.gates):
        yield ("gates", number, "run"), "", gate.run, True
        if gate.fix is not None:
            yield ("gates", number, "fix"), "", gate.fix, False
    for number, task in enumerate(plan.tasks):
        for place, command in enumerate(task.verify):
            yield ("tasks", number, "verify", place), task.id, command, True


def _programs(plan: Plan, world: World) -> Iterator[Problem]:
    made = tuple(path for task in plan.tasks if task.files for path in task.files.writes if validate(path) is None)
    names = {literal_path(path).rpartition("/")[2] for path in made if is_literal(path)}
    told: set[str] = set()
    for path, task, command, needed in sorted(_commands(plan), key=lambda entry: not entry[3]):
        program = program_of(command)
        if not program or program in told or program in world.programs:
            continue
        relative = "/" in program and not program.startswith("/")
        file = program.removeprefix("./")
        if relative and file in world.files:
            continue
        told.add(program)
        later = matches(made, file) if relative else program in names
        by_setup = plan.setup is not None and path[0] != "setup"
        if later:
            why = "a task of the plan makes it"
        elif by_setup:
            why = "the setup may make it"
        elif relative:
            why = "it is not in the repository, and nothing in the plan makes it"
        else:
            why = ""
        yield _program_problem(program, path, task, command, why, needed=needed)


def _program_problem(program: str, path: Path, task: str, command: Command, why: str, *, needed: bool) -> Problem:
    if why or not needed:
        message = f"The program '{program}' is not there yet" + (f"; {why}." if why else ".")
        return _warning("missing_program", message, path, task, "", command.text)
    return Problem(
        code="missing_program",
        message=f"The program '{program}' is not on PATH, and neither the plan nor a setup makes it.",
        hint=f"Install it, or write the path to it. The command is: {command.text}",
        path=path,
        task=task,
        command=command.text,
    )
