"""The runs that are recorded: small ones that together meet every event and every ending a run can have."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from record_golden import Stage

__all__ = ["DATABASES", "SCENARIOS"]

DATABASES = frozenset({"plain", "interrupted", "open-questions"})
"""The runs of which the file itself is kept too."""

DONE = {"report": {"status": "DONE"}}
_BAD = "is not right"
_JUNIT = """\
import pathlib, sys
bad = [n for n in ("old", "new") if pathlib.Path(n + ".red").exists()]
case = lambda n: f'<testcase classname="t" name="{n}">{"<failure/>" if n in bad else ""}</testcase>'
pathlib.Path(sys.argv[1]).write_text(f'<testsuite name="s">{case("old")}{case("new")}</testsuite>')
sys.exit(bool(bad))
"""


def task(name: str, *needs: str, **keys: Any) -> dict[str, Any]:
    """A task that makes a file of its name."""
    files = {"create": [f"{name}.txt"]}
    return {"id": name, "title": f"The {name}", "depends_on": list(needs), "files": files, **keys}


def free(name: str, *needs: str, **keys: Any) -> dict[str, Any]:
    """A task without `files`."""
    return {"id": name, "title": f"The {name}", "depends_on": list(needs), **keys}


def write(path: str, text: str = "text\n") -> dict[str, Any]:
    """A step that writes a file."""
    return {"write": {"path": path, "text": text}}


def good(name: str) -> list[dict[str, Any]]:
    """What an agent does that does its task."""
    return [write(f"{name}.txt"), DONE]


def says(status: str, **keys: Any) -> dict[str, Any]:
    """A step that reports."""
    return {"report": {"status": status, **keys}}


def at(**attempts: Any) -> dict[str, Any]:
    """Steps by attempt: `_1`, `_2`, …, `default`."""
    return {"attempts": {name.removeprefix("_"): steps for name, steps in attempts.items()}}


# -- runs that come to their end ------------------------------------------------------------------


def plain(stage: Stage) -> None:
    """A plan that says something in every field, a task done again, a base with red tests; accepted."""
    stage.write("check.py", _JUNIT)
    stage.write("old.red", "")
    stage.commit("tests")
    stage.plan_file = stage.project / "plan.json"
    said = {
        "summary": "Made it.",
        "files_changed": ["model.txt"],
        "tests_added": ["tests/model.txt"],
        "tests_modified": [],
        "coverage": "97 %",
        "validation": "all green",
        "interfaces": ["todo.add(title: str) -> Todo"],
        "decisions": ["kept it small"],
        "deviations": ["none worth a word"],
        "concerns": [{"kind": "info", "text": "a long file"}],
        "mood": {"kept": ["as", "it", "is"]},
    }
    model = task(
        "model",
        description="What to build.",
        approach="The agreed approach.",
        files={"create": ["model.txt"], "modify": ["src/*.py"], "test": ["tests/*.txt"], "read": ["README.md"]},
        acceptance=["add() rejects an empty title"],
        verify=[["grep", "-q", "right", "model.txt"], "test -d src"],
        interfaces={"consumes": [], "produces": ["todo.add(title: str) -> Todo"]},
        complexity="moderate",
        mandates=["Use the search tool first."],
        limits={"wall": "2m", "idle": "1m", "tokens": 1000, "usd": 1.5},
    )
    script = {
        "model": at(
            _1=[write("model.txt", "wrong\n"), {"print": "working"}, says("DONE_WITH_CONCERNS", **said)],
            _2=[
                write("model.txt", "right\n"),
                {"commit": "red"},
                write("tests/model.txt", "a test\n"),
                says("DONE_WITH_CONCERNS", **said),
            ],
        ),
        "ui": good("ui"),
        "notes": [says("DONE", summary="Nothing to do.")],
    }
    stage.run(
        [
            model,
            task("ui", "model", weight="light", mode="sequential"),
            free("notes", "ui", allow_empty=True, complexity="trivial"),
        ],
        script,
        goal="A small thing that works.",
        success_criteria=["it works"],
        risks=[{"risk": "it may not", "mitigation": "tests"}],
        features={"code_review": False, "holistic": False},
        setup={"run": ["true"], "key": ["README.md"], "keep": [".venv"]},
        env={"pass": ["LC_ALL"], "set": {"COLOUR": "none"}},
        allowlist=["docs/*.md"],
        allow_red=["late"],
        defaults={"weight": "full", "limits": {"wall": "10m"}},
        gates=[
            {"id": "tests", "run": ["python3", "check.py", "$CHARGEHAND_JUNIT"], "junit": True, "wall": "1m"},
            {"id": "lint", "run": "test -f README.md", "on": ["task", "run"], "fix": ["true"], "idle": "1m"},
            {"id": "late", "run": ["false"], "on": ["run"]},
        ],
    )
    stage.call("accept", stage.run_id, "--yes", "--json")


def conflicts(stage: Stage) -> None:
    """Two tasks on one line: the second is redone; then the target moves, and the result is squashed onto it."""
    stage.write("shared.txt", "0\n")
    stage.commit("shared")
    mark = {"stray": {"path": "/srv/marks/{{task}}", "text": "x"}}
    script = {
        "a": [{"wait_for": "/srv/marks/b"}, write("shared.txt", "a\n"), DONE],
        "b": at(
            _1=[mark, {"wait": 2}, write("shared.txt", "b\n"), DONE],
            default=[{"append": {"path": "shared.txt", "text": "b\n"}}, {"commit": "b"}, DONE],
        ),
    }
    stage.run([free("a"), free("b")], script, "--jobs", "2", "--no-review")
    stage.write("mine.txt", "mine\n")
    stage.commit("mine")
    stage.call("accept", stage.run_id, "--yes", "--squash", "--json")


def greenfield(stage: Stage) -> None:
    """A gate red on the base becomes required by the first landing that makes it green; accepted by a merge."""
    gate = {"id": "tests", "run": ["test", "-f", "b.txt"], "on": ["integrate", "run"]}
    last = {**task("c", "b"), "files": {"create": ["c.txt"], "modify": ["b.txt"]}}
    script = {"a": good("a"), "b": good("b"), "c": [write("c.txt"), {"delete": "b.txt"}, DONE]}
    stage.run([task("a"), task("b", "a"), last], script, "--unattended", gates=[gate])
    stage.write("mine.txt", "mine\n")
    stage.commit("mine")
    stage.call("accept", stage.run_id, "--yes", "--json")


def only(stage: Stage) -> None:
    """Some tasks of a plan; the others are skipped."""
    tasks = [task("a"), task("b", "a"), task("c", "b"), task("d")]
    stage.run(tasks, {name: good(name) for name in "abcd"}, "--only", "b", "--accept")


def waves(stage: Stage) -> None:
    """A barrier after each wave: a red gate is fixed, a mismatch is not, and a person lets the next wave start."""
    gate = {"id": "fixed", "run": ["sh", "-c", "! test -f a.txt || test -f fixed.txt"], "on": ["wave"]}
    consumer = task("c", "b", interfaces={"consumes": ["todo.add(title: str) -> Todo"], "produces": []})
    script = {
        "a": good("a"),
        "fix-1": [write("fixed.txt"), DONE],
        "b": [write("b.txt"), says("DONE", interfaces=["todo.add(name: str) -> Todo"])],
        "fix-2": [says("BLOCKED", blocker="Not mine to mend.")],
        "c": good("c"),
    }
    stage.run([task("a"), task("b", "a"), consumer], script, gates=[gate], barrier="wave")
    stage.answer("wave", "continue")
    stage.resume()


def run_gates(stage: Stage) -> None:
    """A run gate that three fix tasks do not make green."""
    gate = {"id": "late", "run": ["sh", "-c", f"test -f a.txt && echo {_BAD} && exit 1 || true"], "on": ["run"]}
    script: dict[str, Any] = {f"fix-{n}": [write(f"try{n}.txt"), DONE] for n in range(1, 4)}
    stage.run([task("a")], {"a": good("a"), **script}, gates=[gate])


def breaker(stage: Stage) -> None:
    """Three blocked tasks stop the run; their dependants are blocked on them."""
    blocked = [says("BLOCKED", blocker={"kind": "external", "text": "no credentials"})]
    tasks = [task("a"), task("b"), task("c"), task("d", "a"), task("e")]
    stage.run(tasks, dict.fromkeys("abcde", blocked), "--jobs", "1", "--unattended")


def canary(stage: Stage) -> None:
    """A gate that cannot judge the untouched base stops the run before any agent."""
    stage.run([task("a")], {"a": good("a")}, gates=[{"id": "lint", "run": ["sleep", "60"], "wall": "1s"}])


def budget(stage: Stage) -> None:
    """The wall clock of the run is used up."""
    script = {"a": [{"wait": 1.2}, *good("a")], "b": good("b")}
    stage.run([task("a"), task("b", "a")], script, "--set", "caps.run_wall=1s")


# -- endings of attempts --------------------------------------------------------------------------


def endings(stage: Stage) -> None:
    """Every way an agent's process may end, with nobody there to ask."""
    quick = {"limits": {"wall": "1s", "idle": "30s"}}
    script = {
        "code": at(_1=[write("code.txt"), {"exit": 3}], _2=good("code")),
        "killed": at(_1=[write("killed.txt"), {"crash": "KILL"}], _2=good("killed")),
        "slow": [write("slow.txt"), {"hang": "chatter"}],
        "silent": at(_1=[{"hang": "silent"}], _2=good("silent")),
        "lingers": [*good("lingers"), {"hang": "silent"}],
        "odd": [*good("odd"), {"exit": 1}],
        "mute": [write("mute.txt")],
        "idle": [{"print": "hello"}],
        "garbled": [write("garbled.txt"), {"report_text": "{not json"}],
        "fenced": [write("fenced.txt"), {"report_fence": {"status": "DONE", "summary": "In the last message."}}],
        "gives-up": [write("gives-up.txt"), says("FAILED", summary="It cannot be done.")],
        "checkout": [{"stray": {"path": "/srv/project/stray.txt"}}, *good("checkout")],
    }
    tasks = [task(name) for name in script]
    tasks = [{**t, **quick} if t["id"] == "slow" else t for t in tasks]
    tasks = [{**t, "limits": {"idle": "1s"}} if t["id"] == "silent" else t for t in tasks]
    stage.run(tasks, script, "--unattended", "--jobs", "3", "--set", "caps.report_grace=1s")


def evidence(stage: Stage) -> None:
    """What the runtime finds in what agents leave: every kind of change and of failure."""
    stage.write("old.txt", "old\n")
    stage.write("run.sh", "true\n")
    stage.commit("more")
    fresh = [{"git": ["checkout", "-q", "--orphan", "other"]}, {"commit": "alone"}]
    script: dict[str, Any] = {
        "nothing": [DONE],
        "strays": [write("strays.txt"), write("other.txt"), DONE],
        "misses": [write("README.md", "else\n"), DONE],
        "claims": [write("claims.txt"), says("DONE", commit="0" * 40)],
        "rewrites": [write("rewrites.txt"), *fresh, DONE],
        "stub": [write("stub.py", "def f():\n    raise NotImplementedError  # TODO\n"), DONE],
        "syntax": [write("syntax.py", "def f(:\n"), DONE],
        "link": [{"symlink": {"path": "link", "target": "/etc/hostname"}}, DONE],
        "nested": [{"git": ["init", "-q", "inner"]}, write("inner/a.txt"), DONE],
        "kinds": [{"delete": "old.txt"}, {"chmod": {"path": "run.sh", "mode": "755"}}, DONE],
        "commits": [write("commits.txt"), {"commit": "mine"}, says("DONE", commit="{{head}}")],
    }
    files = {"misses": {"create": ["misses.txt"], "modify": ["README.md"]}}
    files |= {"stub": {"create": ["stub.py"]}, "syntax": {"create": ["syntax.py"]}}
    tasks = [
        task(n, **({"files": files[n]} if n in files else {})) for n in script if n not in ("link", "nested", "kinds")
    ]
    tasks += [free("link"), free("nested"), free("kinds")]
    stage.run(tasks, script, "--unattended", "--jobs", "1", "--set", "jobs=2")


# -- people ---------------------------------------------------------------------------------------


def questions(stage: Stage) -> None:
    """Every kind of question about a task, answered with notes, one after the other."""
    ask = says("NEEDS_CONTEXT", missing_context=["What does src/app.py return?"])
    sky = says("NEEDS_CONTEXT", missing_context=["What is the colour of the sky?"])
    doubt = says("DONE_WITH_CONCERNS", concerns=[{"kind": "correctness", "text": "off by one"}, {"text": "slow"}])
    large = says("BLOCKED", blocker={"kind": "too_complex", "text": "three things in one"})
    lost = says("BLOCKED", blocker={"kind": "context", "text": "Where is README.md kept?"})
    script = {
        "human": good("human"),
        "refused": good("refused"),
        "red": at(_3=[write("red.txt", "right\n"), DONE], default=[write("red.txt", "wrong {{attempt}}\n"), DONE]),
        "left": [write("left.txt", "wrong\n"), DONE],
        "asks": at(_1=[ask], _2=good("asks")),
        "sky": [sky],
        "large": at(_1=[large], _2=good("large")),
        "lost": at(_1=[lost], _2=good("lost")),
        "doubts": at(_1=[write("doubts.txt", "1\n"), doubt], _2=[write("doubts.txt", "2\n"), doubt]),
        "wide": [write("wide.txt"), write("wider.txt"), DONE],
    }
    red = {"verify": [["sh", "-c", f"grep -q right *.txt || {{ echo {_BAD}; exit 1; }}"]]}
    more: dict[str, dict[str, Any]] = {
        "human": {"needs_human": True},
        "refused": {"needs_human": True},
        "red": red,
        "left": red,
        "wide": {"scope": "review"},
        "lost": {"files": {"create": ["lost.txt"], "read": ["README.md"]}},
    }
    stage.run([task(name, **more.get(name, {})) for name in script], script, "--jobs", "3")
    stage.answer("human", "approve")
    stage.answer("refused", "reject")
    stage.answer("red", "retry", "The word is right.")
    stage.answer("left", "skip")
    stage.answer("sky", "block")
    stage.answer("large", "retry", "Only the first of the three.")
    stage.answer("wide", "approve")
    stage.resume()


def kickbacks(stage: Stage) -> None:
    """A plan that is returned twice: taken on with full weight, then left at that."""
    creep = {"signal": "scope_creep", "details": "it grew", "recommendation": "full weight", "suggested_split": "a, b"}
    vague = {"signal": "spec_incomplete", "details": "What is X?"}
    script = {
        "a": at(_1=[says("KICKBACK", kickback=creep)], _2=good("a")),
        "b": [says("KICKBACK", kickback=vague)],
        "c": good("c"),
    }
    stage.run([task("a", weight="light"), task("b", "a"), task("c", "b")], script)
    stage.answer("a", "full", "Take the time it needs.")
    stage.resume()
    stage.answer("b", "stop")
    stage.resume()


def stopped(stage: Stage) -> None:
    """A person stops the run at a task that failed."""
    stage.run([task("a", verify=[["false"]]), task("b", "a")], {"a": good("a"), "b": good("b")})
    stage.answer("a", "stop")
    stage.resume()


def open_questions(stage: Stage) -> None:
    """A run that waits for people, with one answer not yet taken."""
    tasks = [task("a", needs_human=True), task("b", verify=[["false"]]), task("c")]
    stage.run(tasks, {name: good(name) for name in "abc"})
    stage.answer("b", "retry", "The door is open now.")


# -- the world ------------------------------------------------------------------------------------


def world(stage: Stage) -> None:
    """A gate that times out, a branch that somebody moved, hooks that changed: asked about, and gone on with."""
    move = "c=$(git -C /srv/project commit-tree -m meddled -p {{base}} {{base}}^{tree}) && "
    move += "git -C /srv/project update-ref refs/heads/chargehand/world-1 $c"
    once = "test -e /srv/marks/{{task}} || { touch /srv/marks/{{task}}; %s; }"
    hook = "printf 'true\\n' >/srv/project/.git/hooks/post-commit"
    slow = "test -e /srv/marks/gate || { touch /srv/marks/gate; sleep 60; }"
    script = {
        "moves": [{"git": ["-c", "alias.x=!" + once % move, "x"]}, *good("moves")],
        "hooks": [{"git": ["-c", "alias.x=!" + once % hook, "x"]}, *good("hooks")],
        "slow": good("slow"),
    }
    gate = {"id": "slow", "run": ["sh", "-c", slow], "on": ["task"], "wall": "1s"}
    gate_may_pass = stage.project.parent / "marks" / "gate"
    gate_may_pass.touch()
    stage.run([task("moves"), task("hooks", "moves"), task("slow", "hooks", verify=["true"])], script, gates=[gate])
    stage.answer("command", "approve")  # its gate writes outside the workspace
    stage.resume()
    stage.answer("moves", "retry")
    stage.resume()
    gate_may_pass.unlink()
    stage.answer("hooks", "retry")
    stage.resume()
    stage.answer("escalation", "retry")
    stage.resume()


def interrupted(stage: Stage) -> None:
    """Ctrl-C in the middle of an attempt, death in the middle of another, and resumed after each."""

    def until(mark: str, name: str) -> list[dict[str, Any]]:
        hang = [{"stray": {"path": f"/srv/marks/{mark}", "text": "x"}}, {"hang": "silent"}]
        return [write(f"{name}.txt"), {"if": {"exists": f"/srv/marks/{mark}"}, "then": [DONE], "else": hang}]

    script = {"a": until("a", "a"), "b": until("b", "b"), "c": good("c")}
    tasks = [task("a"), task("b", "a"), task("c", "b")]
    stage.run_until("a", signal.SIGINT, tasks, script)
    stage.resume_until("b", signal.SIGKILL)
    stage.resume("--unattended")


def steered(stage: Stage) -> None:
    """A person pauses, skips, asks for an end, gives the run up, takes that back, and gives it another plan."""
    script = {name: good(name) for name in ("a", "b", "c", "d", "e", "more")}
    tasks = [task("a"), task("b", "a", needs_human=True), task("c", needs_human=True), task("d", needs_human=True)]
    stage.run([*tasks, task("e", "d")], script)
    stage.ask("pause")
    stage.ask("skip", task="c")
    stage.ask("cancel", task="d")
    stage.resume()
    stage.ask("cancel")
    stage.resume()
    stage.ask("retry", note="Once more, please.")
    stage.ask("retry", task="c", note="The door is open now.")
    stage.replan([tasks[0], {**tasks[1], "title": "Another b"}, tasks[3], task("more", "a")])
    stage.resume()
    for name in "bd":
        stage.answer(name, "approve")
    stage.resume()


def rebuilt(stage: Stage) -> None:
    """A journal that was damaged after two landings, repaired by the doctor, and gone on with."""
    mark = {"stray": {"path": "/srv/marks/c", "text": "x"}}
    last = [{"if": {"exists": "/srv/marks/c"}, "else": [mark, {"hang": "silent"}]}, *good("c")]
    tasks = [task(name, *needs, description=name * 2000) for name, *needs in (("a",), ("b", "a"), ("c", "b"))]
    stage.run_until("c", signal.SIGKILL, tasks, {"a": good("a"), "b": good("b"), "c": last})
    stage.wipe(24)
    stage.call("doctor", "--repair", "--yes")
    stage.resume("--unattended")


SCENARIOS: dict[str, Callable[[Stage], None]] = {
    "plain": plain,
    "conflicts": conflicts,
    "greenfield": greenfield,
    "only": only,
    "waves": waves,
    "run-gates": run_gates,
    "breaker": breaker,
    "canary": canary,
    "budget": budget,
    "endings": endings,
    "evidence": evidence,
    "questions": questions,
    "kickbacks": kickbacks,
    "stopped": stopped,
    "open-questions": open_questions,
    "world": world,
    "interrupted": interrupted,
    "steered": steered,
    "rebuilt": rebuilt,
}
