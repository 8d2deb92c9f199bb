"""The test runners of a project, by its files, and what the verify text of a sendit task comes to with them.

All runners that apply are taken, each a gate of its own: one that is red is red, whatever another one says.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from chargehand.domain.plan import Command, GatePoint, GateSpec
from chargehand.domain.test_changes import is_test
from chargehand.plans.verify_text import Find, Verify, read_verify

__all__ = ["runners_of", "verify_of"]

_PYTHON = ("pytest.ini", "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "requirements.txt")
_JAVASCRIPT = frozenset({"cjs", "cts", "js", "jsx", "mjs", "mts", "ts", "tsx"})
_RUN = re.compile(r"[A-Za-z0-9_@./-]+")
_SUFFIX = re.compile(r"(?<=[A-Za-z0-9_-])\.[A-Za-z]{1,4}\b")
_FILLER = re.compile(
    r"(?i)\b(?:all|and|are|file|files|green|in|is|it|now|of|pass|passes|passing|run|runs|succeed|succeeds|"
    r"test|tests|the|with)\b|[\s`'\".,;:&+*-]"
)
_ENDING = re.compile(r"(?i)[ \t]+(?:now[ \t]+)?(?:pass|passes|succeed|succeeds|is green)\.?\Z")
_ENDING_CHARS = 100
_LIMIT_CHARS = 1 << 20
_MANIFEST_CHARS = 4 << 20


def runners_of(root: Path, find: Find) -> tuple[GateSpec, ...]:
    """A gate for each runner that the files of a project speak of; none where they speak of none."""
    return tuple(
        GateSpec(id=f"suite-{name}", run=command, on=frozenset({GatePoint.RUN}), junit=name == "pytest")
        for name, command in _suites(root, find)
    )


def _suites(root: Path, find: Find) -> Iterator[tuple[str, Command]]:
    if _npm_has_tests(root / "package.json"):
        yield "npm", Command(argv=("npm", "test"))
    if _is_python(root):
        yield "pytest", Command(argv=(*_pytest(find), "-q", "--junit-xml=$CHARGEHAND_JUNIT"))
    if (root / "go.mod").is_file():
        yield "go", Command(argv=("go", "test", "./..."))
    if (root / "Cargo.toml").is_file():
        yield "cargo", Command(argv=("cargo", "test"))


def _npm_has_tests(manifest: Path) -> bool:
    """The script that npm itself writes into a new manifest tests nothing."""
    text = _text(manifest)
    try:
        data = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return False
    scripts = data.get("scripts") if isinstance(data, dict) else None
    script = scripts.get("test") if isinstance(scripts, dict) else None
    return isinstance(script, str) and bool(script.strip()) and "no test specified" not in script


def _is_python(root: Path) -> bool:
    if (root / "pytest.ini").is_file() or (root / "conftest.py").is_file():
        return True
    if any("pytest" in _text(root / name) for name in _PYTHON):
        return True
    return any(any((root / name).glob("test_*.py")) for name in ("tests", "test", "."))


def _text(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(_MANIFEST_CHARS)
    except OSError:
        return ""


def _pytest(find: Find) -> tuple[str, ...]:
    return ("python" if find("python") or not find("python3") else "python3", "-m", "pytest")


# -- verify ---------------------------------------------------------------------------------------


def verify_of(text: str, known: Sequence[str], runners: Sequence[GateSpec], find: Find) -> Verify:
    """What a verify text is: a command; test files, which are run by the project's own runner; or a criterion.

    `known` are the files that a bare name may mean, the nearest first.
    """
    text = text.strip()
    if not text or len(text) > _LIMIT_CHARS:
        return Verify()
    names = [name for name in dict.fromkeys(_names(text)) if is_test(name)]
    plain = (
        text[:-_ENDING_CHARS] + _ENDING.sub("", text[-_ENDING_CHARS:]) if "\n" not in text and "`" not in text else text
    )
    got = read_verify(plain, find)
    if not names or any(command.argv[0] not in names for command in got.commands):
        return got
    places = [_place(name, known) for name in names]
    commands = [_command(place, runners, find) for place in places]
    made = tuple(dict.fromkeys(command for command in commands if command is not None))
    told = [f"taken as tests to run: {command.text}" for command in made]
    rest = text
    for name in names:
        rest = rest.replace(name, " ")
    if not made or len(made) < len(set(places)) or _FILLER.sub("", rest):
        told.append(f"taken as a criterion: {' '.join(text.split())}")
        return Verify(commands=made, criteria=(text,), told=tuple(told))
    return replace(got, commands=made, criteria=(), told=tuple(told))


def _names(text: str) -> Iterator[str]:
    """What may be the name of a file, each as long as it goes."""
    ends = deque(match.end() for match in _SUFFIX.finditer(text))
    for run in _RUN.finditer(text):
        last = 0
        while ends and ends[0] <= run.end():
            last = ends.popleft()
        if last:
            yield text[run.start() : last]


def _place(name: str, known: Sequence[str]) -> str:
    """The file that a bare name means, where exactly one has it."""
    name = name.removeprefix("./")
    same = [path for path in dict.fromkeys(known) if path == name or path.endswith(f"/{name}")]
    return same[0] if len(same) == 1 else name


def _command(place: str, runners: Sequence[GateSpec], find: Find) -> Command | None:
    there = {gate.id.removeprefix("suite-") for gate in runners}
    suffix = place.rpartition(".")[2].lower()
    if suffix == "py" and "pytest" in there:
        return Command(argv=(*_pytest(find), "-q", place))
    if suffix in _JAVASCRIPT and "npm" in there:
        return Command(argv=("npm", "test", "--", place))
    if suffix == "go" and "go" in there:
        return Command(argv=("go", "test", f"./{place.rpartition('/')[0]}".rstrip("/")))
    return None
