"""Whether the changed files of a tree parse (SPEC 3.7, item 5): nothing of them is executed.

Python, JSON, YAML and TOML are parsed here, which costs no process. JavaScript, TypeScript and Java need a tool of
the project; where it is missing the file is recorded as skipped, as is everything else. A file is only called bad
by somebody who knows its dialect: comments in `tsconfig.json`, JSX in `.js`, templates and deliberately broken
fixtures are skipped, and a Python file this interpreter rejects is shown to the project's own first.
"""

from __future__ import annotations

import ast
import asyncio
import json
import tomllib
import warnings
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import yaml

from chargehand.adapters.folders import read_regular, relative_parts
from chargehand.adapters.text import clean_text

__all__ = ["FILE_BYTES", "Problem", "Run", "SyntaxReport", "check_syntax", "is_parsed", "needs_tool"]

FILE_BYTES = 1024 * 1024
_TOOL_FILES = 500
_PYTHON_FILE_BYTES = 128 * 1024
_PYTHON_BYTES = 256 * 1024
_YAML_BYTES = 512 * 1024
_YAML_BRACKETS = 10_000
_TOML_BYTES = 256 * 1024
_TOML_DOTS = 200

Run = Callable[[Sequence[str]], Awaitable[str | None]]
"""Runs a program in the checkout, confined; its standard output, None when it is missing or failed."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Problem:
    """A place that does not parse; `line` is 0 when nobody could tell."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {clean_text(self.message)[:200]}"


@dataclass(slots=True)
class SyntaxReport:
    """What came of a check: how many files were parsed, which are bad, which nobody judged and why."""

    parsed: int = 0
    problems: list[Problem] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    path: str
    data: bytes


async def check_syntax(root: Path, paths: Iterable[str], run: Run) -> SyntaxReport:
    """Parse the files at `paths` of the checkout `root`; deleted ones and links count for nothing."""
    report = SyntaxReport()
    for_tools: dict[str, list[_Source]] = {}
    large: list[_Source] = []
    rejected: list[_Source] = []
    python_bytes = 0
    for path in sorted(set(paths)):
        source = _read(root, path, report)
        if source is None:
            continue
        kind = _KINDS[PurePosixPath(path).suffix]
        if kind in _TOOLS:
            for_tools.setdefault(kind, []).append(source)
            continue
        if kind == "python":
            python_bytes += len(source.data)
            if len(source.data) > _PYTHON_FILE_BYTES or python_bytes > _PYTHON_BYTES:
                large.append(source)
                continue
        if _judge(kind, source, report) is not None and kind == "python":
            rejected.append(source)
        await asyncio.sleep(0)  # others may go on between two files
    if large or rejected:
        await _ask_python(root, large, rejected, run, report)
    for kind, sources in for_tools.items():
        await _TOOLS[kind](root, sources[:_TOOL_FILES], run, report)
        report.skipped += [(source.path, "too many files") for source in sources[_TOOL_FILES:]]
    report.problems.sort()
    return report


def is_parsed(path: str) -> bool:
    """Whether files of this name are parsed at all."""
    return PurePosixPath(path).suffix in _KINDS


def needs_tool(path: str) -> bool:
    """Whether a program outside of us has to parse it."""
    return _KINDS.get(PurePosixPath(path).suffix) in _TOOLS


def _read(root: Path, path: str, report: SyntaxReport) -> _Source | None:
    """The file, unless there is a reason not to judge it, which is recorded."""
    try:
        file = root.joinpath(*relative_parts(path))
    except ValueError:
        return None
    if file.is_symlink() or not file.is_file() or not file.resolve().is_relative_to(root.resolve()):
        return None
    reason = _why_not(path)
    data = b"" if reason else read_regular(file, FILE_BYTES)
    if data is None:
        reason = "larger than 1 MiB, or not readable"
    if reason or data is None:
        report.skipped.append((path, reason))
        return None
    return _Source(path=path, data=data)


_KINDS = {
    **dict.fromkeys((".py", ".pyi"), "python"),
    ".json": "json",
    **dict.fromkeys((".yaml", ".yml"), "yaml"),
    ".toml": "toml",
    **dict.fromkeys((".js", ".mjs", ".cjs"), "node"),
    **dict.fromkeys((".ts", ".tsx", ".mts", ".cts"), "typescript"),
    ".java": "java",
}
_BROKEN_ON_PURPOSE = {"fixture", "fixtures", "__fixtures__", "testdata", "test_data", "test-data", "__snapshots__"}
_LENIENT_JSON = ("tsconfig*.json", "jsconfig*.json", ".eslintrc.json", "devcontainer.json", "*.code-workspace")
_LENIENT_FOLDERS = {".vscode", ".devcontainer"}


def _why_not(path: str) -> str:
    """Why nobody here can judge a file by its path, or an empty string."""
    pure = PurePosixPath(path)
    if pure.suffix not in _KINDS:
        return "no checker for it"
    if _BROKEN_ON_PURPOSE.intersection(pure.parts[:-1]):
        return "a fixture"
    if any(mark in path for mark in ("{{", "{%", "__cookiecutter")):
        return "a template"
    lenient = any(fnmatchcase(pure.name, pattern) for pattern in _LENIENT_JSON)
    if pure.suffix == ".json" and (lenient or _LENIENT_FOLDERS.intersection(pure.parts[:-1])):
        return "may have comments"
    return ""


# -- parsed here ----------------------------------------------------------------------------------


def _judge(kind: str, source: _Source, report: SyntaxReport) -> Problem | None:
    """Parse one file; answers the problem of a Python file, which is not yet a verdict."""
    if reason := _too_costly(kind, source.data):
        report.skipped.append((source.path, reason))
        return None
    try:
        problem = _PARSERS[kind](source)
    except (RecursionError, MemoryError):
        report.skipped.append((source.path, "nested too deep to be parsed here"))
        return None
    if problem is None:
        report.parsed += 1
    elif kind != "python" and any(mark in source.data for mark in (b"{{", b"{%", b"<%")):
        report.skipped.append((source.path, "looks like a template"))
        return None
    elif kind != "python":
        report.parsed += 1
        report.problems.append(problem)
    return problem


def _too_costly(kind: str, data: bytes) -> str:
    """Why a parser should not be given this: the ones at hand take quadratic time for some input."""
    if kind == "yaml" and (len(data) > _YAML_BYTES or data.count(b"[") + data.count(b"{") > _YAML_BRACKETS):
        return "too large to be parsed here"
    if kind == "toml" and (len(data) > _TOML_BYTES or any(line.count(b".") > _TOML_DOTS for line in data.split(b"\n"))):
        return "too large to be parsed here"
    return ""


def _parse_python(source: _Source) -> Problem | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is a warning, whatever our own settings say
            ast.parse(source.data, filename=source.path)
    except SyntaxError as error:
        return Problem(path=source.path, line=error.lineno or 0, message=error.msg)
    except ValueError as error:  # a null byte
        return Problem(path=source.path, line=0, message=str(error))
    return None


def _parse_json(source: _Source) -> Problem | None:
    try:
        json.loads(source.data.decode("utf-8-sig"), parse_int=str)
    except json.JSONDecodeError as error:
        return Problem(path=source.path, line=error.lineno, message=error.msg)
    except UnicodeDecodeError:
        return Problem(path=source.path, line=0, message="not UTF-8")
    return None


def _parse_yaml(source: _Source) -> Problem | None:
    """Events only: aliases are not expanded, tags not looked up, and nesting costs no stack."""
    known: set[str] = set()
    try:
        for event in yaml.parse(source.data, Loader=_yaml_loader()):
            if isinstance(event, yaml.DocumentStartEvent):
                known.clear()
            anchor = getattr(event, "anchor", None)
            if isinstance(event, yaml.AliasEvent) and anchor not in known:
                line = event.start_mark.line + 1 if event.start_mark else 0
                return Problem(path=source.path, line=line, message=f"undefined alias {anchor}")
            if anchor:
                known.add(anchor)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return Problem(path=source.path, line=mark.line + 1 if mark else 0, message=error.problem or "not YAML")
    except yaml.YAMLError as error:
        return Problem(path=source.path, line=0, message=str(error).split("\n", maxsplit=1)[0])
    return None


def _yaml_loader() -> type[yaml.CSafeLoader] | type[yaml.SafeLoader]:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _parse_toml(source: _Source) -> Problem | None:
    try:
        tomllib.loads(source.data.decode("utf-8"))
    except UnicodeDecodeError:
        return Problem(path=source.path, line=0, message="not UTF-8")
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).rpartition(" (at line ")
        digits = place.split(",")[0]
        return Problem(path=source.path, line=int(digits) if digits.isdecimal() else 0, message=message or str(error))
    except ValueError:  # a number of more digits than Python takes
        return Problem(path=source.path, line=0, message="a value that cannot be read")
    return None


_PARSERS: dict[str, Callable[[_Source], Problem | None]] = {
    "python": _parse_python,
    "json": _parse_json,
    "yaml": _parse_yaml,
    "toml": _parse_toml,
}


# -- parsed by tools of the project ---------------------------------------------------------------

_PYTHON = """
import ast, json, sys, warnings
warnings.simplefilter("ignore")
found = []
for path in sys.argv[1:]:
    try:
        with open(path, "rb") as file:
            ast.parse(file.read(), path)
    except SyntaxError as error:
        found.append([path, error.lineno or 0, error.msg])
    except (ValueError, RecursionError, MemoryError) as error:
        found.append([path, 0, str(error) or type(error).__name__])
print(json.dumps(found))
"""

_NODE = """
const fs = require("fs"), vm = require("vm"), { spawnSync } = require("child_process");
const found = [];
const line = (text) => Number((/^[^\\n]*:(\\d+)\\n/.exec(text || "") || [0, 0])[1]);
const place = (text, error) => line(error.stack) || line(String(spawnSync(process.execPath,
  ["--check", "--input-type=module", "-"], { input: text, timeout: 10000 }).stderr));
for (const path of process.argv.slice(1)) {
  const text = fs.readFileSync(path, "utf8").replace(/^#!.*/, "");
  const errors = [];
  const attempt = (parse) => { try { parse(); return true; } catch (error) { errors.push(error); return false; } };
  const script = () => vm.compileFunction(text, ["exports", "require", "module"], { filename: path });
  const asModule = () => new vm.SourceTextModule(text, { identifier: path });
  const good = path.endsWith(".cjs") ? attempt(script) : path.endsWith(".mjs") ? attempt(asModule)
    : attempt(script) || attempt(asModule);
  if (!good) {
    const error = /^\\s*(import|export)\\b/m.test(text) ? errors[errors.length - 1] : errors[0];
    found.push([path, place(text, error), error.message]);
  }
}
console.log(JSON.stringify(found));
"""

_TYPESCRIPT = """
const fs = require("fs");
const ts = require(process.cwd() + "/node_modules/typescript");
const found = [];
for (const path of process.argv.slice(1)) {
  const options = { jsx: ts.JsxEmit.Preserve, target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext,
    experimentalDecorators: true };
  const result = ts.transpileModule(fs.readFileSync(path, "utf8"),
    { fileName: path, reportDiagnostics: true, compilerOptions: options });
  for (const one of (result.diagnostics || []).filter((each) => each.category === ts.DiagnosticCategory.Error)) {
    const line = one.file ? one.file.getLineAndCharacterOfPosition(one.start).line + 1 : 0;
    found.push([path, line, ts.flattenDiagnosticMessageText(one.messageText, " ")]);
  }
}
console.log(JSON.stringify(found));
"""


async def _ask_python(
    root: Path, large: list[_Source], rejected: list[_Source], run: Run, report: SyntaxReport
) -> None:
    """Judge files by the project's interpreters: good for one of them is good.

    Without any, our own word counts for what we rejected, and nobody judges what is too large for us.
    """
    paths = [source.path for source in (*large, *rejected)]
    found: list[Problem] | None = None
    for program in ("python3", "./.venv/bin/python"):
        if program.startswith("./") and not (root / program).exists():
            continue
        answer = await _ask([program, "-I", "-c", _PYTHON], paths, run)
        if answer is not None:
            bad = None if found is None else {problem.path for problem in found}
            found = [problem for problem in answer if bad is None or problem.path in bad]
        if found == []:
            break
    if found is None:
        report.skipped += [(source.path, "too large to be parsed here") for source in large]
        found = [problem for source in rejected if (problem := _parse_python(source)) is not None]
        large = []
    report.parsed += len(large) + len(rejected)
    report.problems += found


async def _ask_node(root: Path, sources: list[_Source], run: Run, report: SyntaxReport) -> None:
    program = ["node", "--experimental-vm-modules", "--no-warnings", "-e", _NODE, "--"]
    found = await _ask(program, [source.path for source in sources], run)
    if found is None:
        report.skipped += [(source.path, "node is not there") for source in sources]
        return
    dialect = _speaks_dialect(root)
    report.parsed += len(sources)
    for problem in found:
        if problem.path.endswith(".js") and (dialect or "'<'" in problem.message):
            report.parsed -= 1
            report.skipped.append((problem.path, "may be a dialect of JavaScript"))
        else:
            report.problems.append(problem)


def _speaks_dialect(root: Path) -> bool:
    """Whether the project translates its JavaScript: then node is no judge of a `.js` file it rejects."""
    package = read_regular(root / "package.json", FILE_BYTES) or b""
    return any(word in package for word in (b"babel", b"react", b"flow", b"preact", b"jsx", b"vite", b"webpack"))


async def _ask_typescript(root: Path, sources: list[_Source], run: Run, report: SyntaxReport) -> None:
    if not (root / "node_modules" / "typescript").is_dir():
        report.skipped += [(source.path, "typescript is not in node_modules") for source in sources]
        return
    found = await _ask(["node", "-e", _TYPESCRIPT, "--"], [source.path for source in sources], run)
    if found is None:
        report.skipped += [(source.path, "typescript could not be run") for source in sources]
        return
    report.parsed += len(sources)
    report.problems += found


async def _ask(program: list[str], paths: list[str], run: Run) -> list[Problem] | None:
    """The problems a program names as JSON triples, None when it gave no such answer."""
    output = await run([*program, *(f"./{path}" for path in paths)])
    if output is None:
        return None
    known = set(paths)
    try:
        return [
            Problem(path=path, line=int(line), message=str(message))
            for name, line, message in json.loads(output)
            if (path := str(name).removeprefix("./")) in known
        ]
    except (ValueError, TypeError):
        return None


_JAVA_STOP = ("-XDshould-stop.ifError=PARSE", "-XDshould-stop.ifNoError=PARSE", "-XDrawDiagnostics")
_JAVA_PARSER = ("expected", "illegal.", "premature.eof", "not.stmt", "unclosed", "orphaned", "invalid.", "malformed.")


async def _ask_java(_root: Path, sources: list[_Source], run: Run, report: SyntaxReport) -> None:
    """`javac` up to the parser; a diagnostic that only later stages give is no word on syntax."""
    paths = {PurePosixPath(source.path).name: source.path for source in sources}
    script = 'javac -proc:none -implicit:none "$@" 2>&1; echo "exit $?"'
    output = await run(["sh", "-c", script, "sh", *_JAVA_STOP, *(f"./{source.path}" for source in sources)])
    if output is None or not output.rstrip().endswith(("exit 0", "exit 1")):
        report.skipped += [(source.path, "javac is not there") for source in sources]
        return
    report.parsed += len(sources)
    for text in output.splitlines():
        name, _, rest = text.partition(":")
        line, _, rest = rest.partition(":")
        key = rest.partition(": ")[2].removeprefix("compiler.err.")
        if name in paths and line.isdecimal() and "compiler.err." in rest and key.startswith(_JAVA_PARSER):
            report.problems.append(Problem(path=paths[name], line=int(line), message=key))


_TOOLS: dict[str, Callable[[Path, list[_Source], Run, SyntaxReport], Awaitable[None]]] = {
    "node": _ask_node,
    "typescript": _ask_typescript,
    "java": _ask_java,
}
