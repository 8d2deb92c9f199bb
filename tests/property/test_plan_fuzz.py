"""Whatever a plan file holds, reading and checking it gives problems with places, never a traceback."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.domain.check import World
from chargehand.plans.checking import check_loaded, survey_document
from chargehand.plans.models import PlanModel
from chargehand.plans.native import parse_plan

VALID: dict[str, Any] = {
    "chargehand": 1,
    "plan": "p",
    "goal": "g",
    "risks": [{"risk": "r", "mitigation": "m"}],
    "features": {"code_review": True},
    "setup": {"run": ["x"], "key": ["k"], "keep": ["v"]},
    "env": {"pass": ["A"], "set": {"B": "c"}},
    "defaults": {"agent": "a", "weight": "light", "limits": {"wall": "5m", "usd": 2}},
    "gates": [{"id": "g", "run": "make x", "on": ["run"], "fix": ["y"]}],
    "tasks": [
        {"id": "a", "title": "A", "files": {"create": ["src/a.py"]}, "verify": [["pytest"], "make y"], "wave": 1},
        {"id": "b", "title": "B", "depends_on": ["a"], "interfaces": {"produces": ["f()"]}, "limits": {"idle": "1s"}},
        {"id": "c", "title": "C", "acceptance": ["x"], "files": {"modify": ["src/*.py"]}},
    ],
}
KEYS = sorted({name for model in (PlanModel,) for name in model.model_fields} | {"id", "title", "run", "on", "wall"})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**20),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["", "a", "b", "../x", ".git/x", "[", "a[!b]*", "**", "30", "5m", "!x", "\u202e", "wave", "sk-" + "a" * 30]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=5)), inner, max_size=4),
    ),
    max_leaves=12,
)


def examine(text: str, source: str) -> None:
    """The invariant: every answer is a value, and every error that is about a place has a line of the file."""
    loaded = parse_plan(text, source)
    found = check_loaded(loaded, World())
    json.dumps(survey_document(loaded, found))
    lines = len(re.findall("\r\n|[\n\r\x85\u2028\u2029]", text)) + 1  # what YAML calls a line
    for problem in found.problems:
        assert problem.file == source
        assert problem.message.strip().endswith((".", "…", "'", ")")), problem.message
        assert "pydantic" not in problem.message
        assert problem.line is None or 1 <= problem.line <= lines
    assert (loaded.plan is None) == any(problem.is_error for problem in loaded.problems)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=200), source=st.sampled_from(["p.yaml", "p.json"]))
def test_any_text(text: str, source: str) -> None:
    examine(text.encode("utf-8", "replace").decode("utf-8"), source)


@settings(max_examples=300, deadline=None)
@given(text=st.text("abc:-[]{}&*!|>'\"#%@,?~ \n\t01<", max_size=60))
def test_text_that_is_nearly_yaml(text: str) -> None:
    examine(text, "p.yaml")
    examine(f"chargehand: 1\nplan: p\ntasks:\n- id: a\n  title: {text}\n", "p.yaml")


@settings(max_examples=300, deadline=None)
@given(value=VALUES)
def test_any_structure(value: Any) -> None:
    examine(json.dumps(value), "p.json")
    examine(json.dumps(value, allow_nan=False) if _finite(value) else "x", "p.yaml")
    examine(yaml.safe_dump(value, allow_unicode=True), "p.yaml")


def _finite(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in parts for place in _places(part, (*path, key)))]


def _changed(value: Any, path: tuple[Any, ...], new: Any, how: str) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) > 1:
        copy[path[0]] = _changed(copy[path[0]], path[1:], new, how)
    elif how == "remove":
        del copy[path[0]]
    elif how == "add" and isinstance(copy, dict):
        copy[f"{path[0]}x"] = new
    else:
        copy[path[0]] = new
    return copy


@settings(max_examples=600, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 200), VALUES, st.sampled_from(["replace", "remove", "add"])), min_size=1, max_size=3
    ),
    style=st.sampled_from([None, True, False]),
)
def test_a_valid_plan_with_something_changed(changes: list[tuple[int, Any, str]], style: bool | None) -> None:
    document: Any = VALID
    for number, new, how in changes:
        places = _places(document)
        document = _changed(document, places[number % len(places)], new, how)
    examine(yaml.safe_dump(document, default_flow_style=style, allow_unicode=True, sort_keys=False), "p.yaml")
    examine(json.dumps(document, indent=1), "p.json")


def test_the_plan_that_is_changed_is_valid() -> None:
    assert parse_plan(json.dumps(VALID), "p.json").problems == ()
