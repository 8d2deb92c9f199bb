"""Whether a change of the commands, gates and switches that a run is judged by is found (SPEC 3.7, item 4; I6)."""

from __future__ import annotations

import pytest

from chargehand.adapters.integrity.find import Changed, find_test_changes, judges

OWN = """jobs = 2  # tests are slow

[commands]
build = ["make"]
test = ["pytest", "-q"]

[[gates]]
id = "lint"
run = "make lint"
on = ["task", "run"]

[[gates]]
id = "types"
run = "mypy src"

[features]
holistic = true
"""
FITTER = """[defaults]
python_runner = "python3"
fit_profile = "fast"

[[gates]]
id = "pytest"
invocation = "{{A}} -m pytest"
"""
FEATURES = """[git]
auto_commit = true

[features]
code_review = true
research = true
"""
Sides = tuple[str, str | None, str | None]


def of(path: str, text: str, old: str, new: str) -> Sides:
    assert old in text, old
    return path, text, text.replace(old, new, 1)


def found(path: str, old: str | None, new: str | None) -> list[str]:
    changed = Changed(path=path, old=old, new=new, existed=old is not None, exists=new is not None)
    return [str(each) for each in find_test_changes([changed])]


CHANGED: dict[str, tuple[Sides, str]] = {
    "nothing instead of tests": (
        of("chargehand.toml", OWN, '["pytest", "-q"]', '["true"]'),
        "chargehand.toml:5 loosened commands.test: does nothing: true",
    ),
    "another command": (
        of("chargehand.toml", OWN, '["pytest", "-q"]', '["test", "-f", "x"]'),
        "chargehand.toml:5 loosened commands.test: is test -f x, pytest -q before",
    ),
    "fewer tests": (
        of("chargehand.toml", OWN, '["pytest", "-q"]', '["pytest", "-q", "tests/one.py"]'),
        "chargehand.toml:5 loosened commands.test: is pytest -q tests/one.py, pytest -q before",
    ),
    "left out": (
        of("chargehand.toml", OWN, 'test = ["pytest", "-q"]\n', ""),
        "chargehand.toml:3 loosened commands.test: is left out, pytest -q before",
    ),
    "cannot fail": (
        of("chargehand.toml", OWN, "make lint", "make lint || true"),
        "chargehand.toml:9 loosened gates[lint].run: cannot fail: make lint || true",
    ),
    "through a pipe": (
        of("chargehand.toml", OWN, "mypy src", "mypy src | tail"),
        "chargehand.toml:14 loosened gates[types].run: is mypy src | tail, mypy src before",
    ),
    "goes on after a failure": (
        of("chargehand.toml", OWN, "mypy src", "mypy src && a & b"),
        "chargehand.toml:14 loosened gates[types].run: is mypy src && a & b, mypy src before",
    ),
    "a gate left out": (
        of("chargehand.toml", OWN, '[[gates]]\nid = "types"\nrun = "mypy src"\n', ""),
        "chargehand.toml loosened gates[types].run: is left out, mypy src before",
    ),
    "a gate that runs less often": (
        of("chargehand.toml", OWN, '["task", "run"]', '["run"]'),
        "chargehand.toml:10 loosened gates[lint].on: task left out",
    ),
    "no review of the whole": (
        of("chargehand.toml", OWN, "holistic = true", "holistic = false"),
        "chargehand.toml:17 loosened features.holistic: is off now",
    ),
    "no reviews": (
        of("chargehand.toml", OWN, "holistic = true", "code_review = false"),
        "chargehand.toml:17 loosened features.code_review: is off now",
    ),
    "keys that do not count": (
        of("chargehand.toml", OWN, "[commands]", '[secrets]\nallow = ["src/**"]\n[commands]'),
        "chargehand.toml:4 loosened secrets.allow: src/** added",
    ),
    "in the shared file": (
        of("pyproject.toml", "[tool.chargehand.commands]\ntest = 'make test'\n", "make test", ":"),
        "pyproject.toml:2 loosened tool.chargehand.commands.test: does nothing: :",
    ),
    "the file is gone": (
        ("chargehand.toml", '[commands]\ntest = "make test"\n', None),
        "chargehand.toml loosened commands.test: is left out, make test before",
    ),
    "a new file with a test that is none": (
        ("chargehand.toml", None, '[commands]\ntest = ["true"]\n'),
        "chargehand.toml:2 loosened commands.test: does nothing: true",
    ),
    "an invocation": (
        of(".kilocode/fitter.toml", FITTER, "-m pytest", "-c pass"),
        ".kilocode/fitter.toml:7 loosened gates[pytest].invocation: is {{A}} -c pass, {{A}} -m pytest before",
    ),
    "what an invocation runs": (
        of("fitter.toml", FITTER, '"python3"', '"true"'),
        "fitter.toml:2 loosened defaults.python_runner: does nothing: true",
    ),
    "gates in the place of others": (
        of("fitter.toml", "[defaults]\ngate_test_cmd = 'make'\n", "[de", "[[gates]]\nid = 'a'\ninvocation = 'x'\n[de"),
        "fitter.toml:1 loosened gates: they take the place of defaults.gate_test_cmd",
    ),
    "reviews of another system": (
        of(".konductor/config.toml", FEATURES, "code_review = true", "code_review = false"),
        ".konductor/config.toml:5 loosened features.code_review: is off now",
    ),
    "reviews that were on by themselves": (
        of("a/.konductor/config.toml", FEATURES, "research = true", "verifier = false"),
        "a/.konductor/config.toml:6 loosened features.verifier: is off now",
    ),
}
FINE: dict[str, Sides] = {
    "a new file": ("chargehand.toml", None, OWN),
    "a first command": of("chargehand.toml", OWN, '["make"]\n', '["make"]\napproved = ["x"]\n'),
    "another gate": of("chargehand.toml", OWN, "[features]", '[[gates]]\nid = "a"\nrun = "make a"\n[features]'),
    "a gate at more points": of("chargehand.toml", OWN, '["task", "run"]', '["task", "integrate", "run"]'),
    "another spelling": of("chargehand.toml", OWN, '["pytest", "-q"]', '"pytest  -q"'),
    "one more check": of("chargehand.toml", OWN, "make lint", "make lint && make types"),
    "more to say": of("chargehand.toml", OWN, '["pytest", "-q"]', '["pytest", "-q", "-ra", "--strict-markers"]'),
    "other settings": of("chargehand.toml", OWN, "jobs = 2", "jobs = 3"),
    "a comment": of("chargehand.toml", OWN, "# tests are slow", "# tests are fast"),
    "switched on": ("chargehand.toml", "[features]\nholistic = false\n", "[features]\nholistic = true\n"),
    "a folder of its own": of("docs/chargehand.toml", OWN, '["pytest", "-q"]', '["true"]'),
    "broken": of("chargehand.toml", OWN, "[commands]", "[commands"),
    "no tool of theirs": of("pyproject.toml", "[tool.other.commands]\ntest = 'make'\n", "make", "true"),
    "a fit profile": of("fitter.toml", FITTER, '"fast"', '"slow"'),
    "a gate of fitter": of("fitter.toml", FITTER, "[[gates]]", '[[gates]]\nid = "b"\ninvocation = "b"\n[[gates]]'),
    "features that judge nothing": of(".konductor/config.toml", FEATURES, "research = true", "research = false"),
    "a config of no system": of("app/config.toml", FEATURES, "code_review = true", "code_review = false"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_another_judge_is_told_with_its_line(what: str):
    """I6: what a change makes of its own judge is no evidence."""
    (path, old, new), said = CHANGED[what]
    assert judges(path)
    assert found(path, old, new) == [said]


def test_a_switch_is_no_less_off_when_another_file_has_its_name():
    """I6: a word in another file of configuration does not say that a judge moved there."""
    files = {
        "chargehand.toml": ("[features]\ncode_review = true\n", "[features]\ncode_review = false\n"),
        "tox.ini": ("[testenv]\n", "[testenv]\n# code_review\n"),
    }
    changed = [Changed(path=path, old=old, new=new, existed=True, exists=True) for path, (old, new) in files.items()]
    said = ["chargehand.toml:2 loosened features.code_review: is off now"]
    assert [str(each) for each in find_test_changes(changed)] == said


@pytest.mark.parametrize("what", FINE)
def test_what_demands_more_or_nothing_is_no_other_judge(what: str):
    assert found(*FINE[what]) == []


@pytest.mark.timeout(30)
def test_many_gates_hold_nobody_up():
    old = "\n".join(f'[[gates]]\nid = "g{number}"\nrun = "x{number}"' for number in range(8_000))
    assert len(found("chargehand.toml", old, old.replace("x", "y"))) == 200
    long = f'[commands]\ntest = "sh -{"c" * 400_000}"\n'
    assert len(found("chargehand.toml", '[commands]\ntest = "x"\n', long)) == 1
