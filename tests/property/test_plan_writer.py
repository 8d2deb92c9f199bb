"""Writing a plan and reading it back gives the same plan."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.domain.plan import (
    Barrier,
    Command,
    Complexity,
    Defaults,
    EnvSpec,
    Features,
    Files,
    GatePoint,
    GateSpec,
    Interfaces,
    Limits,
    Mode,
    Plan,
    Risk,
    Scope,
    SetupSpec,
    Task,
    TaskType,
    Weight,
)
from chargehand.plans.native import parse_plan
from chargehand.plans.writer import dump_native

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
SOME = TEXT.filter(lambda text: text.strip() != "")
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
SECONDS = st.one_of(
    st.integers(1, 10**6).map(float), st.floats(0.001, 86400.0, allow_nan=False), st.sampled_from([60.0, 5400.0])
)
COMMAND = st.one_of(
    st.builds(lambda head, rest: Command(argv=(head, *rest)), SOME, st.lists(TEXT, max_size=3)),
    SOME.filter(lambda text: not text.lstrip().startswith("-")).map(lambda line: Command(argv=(line,), shell=True)),
)
NAME = st.text("abcdefgXYZ0123456789._-", min_size=1, max_size=6).map(lambda text: f"a{text}")
ENV_NAME = st.text("ABCDEF_", min_size=1, max_size=4)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


LIMITS = st.builds(
    Limits,
    wall_s=maybe(SECONDS),
    idle_s=maybe(SECONDS),
    tokens=maybe(st.integers(1, 10**9)),
    usd=maybe(st.floats(0.0001, 10**6)),
)
GATE = st.builds(
    GateSpec,
    id=NAME,
    run=COMMAND,
    on=st.frozensets(st.sampled_from(GatePoint), min_size=1),
    wall_s=maybe(SECONDS),
    idle_s=maybe(SECONDS),
    fix=maybe(COMMAND),
    junit=st.booleans(),
)
TASK = st.builds(
    Task,
    id=NAME,
    title=SOME,
    description=TEXT,
    approach=TEXT,
    depends_on=st.lists(NAME, max_size=2).map(tuple),
    wave=maybe(st.integers(1, 5)),
    files=maybe(st.builds(Files, create=TEXTS, modify=TEXTS, test=TEXTS, read=TEXTS)),
    scope=st.sampled_from(Scope),
    acceptance=TEXTS,
    verify=st.lists(COMMAND, max_size=2).map(tuple),
    interfaces=st.builds(Interfaces, consumes=TEXTS, produces=TEXTS),
    type=st.sampled_from(TaskType),
    weight=st.sampled_from(Weight),
    complexity=st.sampled_from(Complexity),
    needs_human=st.booleans(),
    allow_empty=st.booleans(),
    allow_test_changes=st.booleans(),
    overlay=st.booleans(),
    mandates=TEXTS,
    agent=maybe(SOME),
    model=maybe(SOME),
    reviewer=maybe(SOME),
    limits=LIMITS,
    mode=st.sampled_from(Mode),
)
PLAN = st.builds(
    Plan,
    plan=st.just("sample"),
    tasks=st.lists(TASK, max_size=3).map(tuple),
    goal=TEXT,
    profile=st.sampled_from(["house", "sendit"]),
    barrier=st.sampled_from(Barrier),
    success_criteria=TEXTS,
    risks=st.lists(st.builds(Risk, risk=SOME, mitigation=TEXT), max_size=2).map(tuple),
    features=st.builds(Features, code_review=st.booleans(), holistic=st.booleans()),
    setup=maybe(st.builds(SetupSpec, run=COMMAND, key=TEXTS, keep=TEXTS)),
    env=st.builds(
        EnvSpec,
        passed=st.lists(ENV_NAME, max_size=2).map(tuple),
        values=st.dictionaries(ENV_NAME, TEXT, max_size=2).map(lambda values: tuple(values.items())),
    ),
    allowlist=TEXTS,
    allow_red=TEXTS,
    defaults=st.builds(Defaults, weight=st.sampled_from(Weight), mode=st.sampled_from(Mode)),
    gates=st.lists(GATE, max_size=2).map(tuple),
)


@settings(max_examples=400, deadline=None)
@given(plan=PLAN)
def test_what_is_written_reads_back_as_it_was(plan: Plan) -> None:
    """I15: nothing of a plan is lost or changed on its way through a file."""
    text = dump_native(plan)
    loaded = parse_plan(text, "plan.yaml")
    assert loaded.problems == ()
    assert loaded.plan == plan
