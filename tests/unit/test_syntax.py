"""Changed files parse: by our own parsers, by the project's tools, or recorded as skipped."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from chargehand.adapters.syntax import SyntaxReport, check_syntax


class Tools:
    """Runs what it is told to, in the checkout, without a sandbox; remembers the programs."""

    def __init__(self, root: Path, present: bool = True) -> None:
        self.root = root
        self.present = present
        self.programs: list[str] = []

    async def __call__(self, argv: Sequence[str]) -> str | None:
        self.programs.append(argv[0])
        if not self.present or ("/" not in argv[0] and shutil.which(argv[0]) is None):
            return None
        done = await asyncio.to_thread(
            subprocess.run, list(argv), cwd=self.root, capture_output=True, text=True, check=False
        )
        return done.stdout if done.returncode == 0 else None


def check(root: Path, files: Mapping[str, str | bytes], *, present: bool = True) -> tuple[SyntaxReport, list[str]]:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    tools = Tools(root, present)
    return asyncio.run(check_syntax(root, files, tools)), tools.programs


GOOD = {
    "a.py": "match x:\n    case 1: pass\ninvalid = '\\d'\n",
    "b.pyi": "def f() -> int: ...\n",
    "ü b.json": '\ufeff{"a": [1, 2.5, null], "big": ' + "9" * 5000 + "}",
    "c.yaml": "a: &x 1\nb: *x\n---\nc: !vault |\n  text\nd: !Sub '${x}'\n",
    "d.yml": "",
    "e.toml": "[a.b]\nc = 1979-05-27T07:32:00Z\n",
}


def test_what_parses_costs_no_process(tmp_path):
    report, programs = check(tmp_path, GOOD)
    assert (report.parsed, report.problems, report.skipped, programs) == (6, [], [], [])


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("a.py", "x = 1\ny = = 2\n", "a.py:2: invalid syntax"),
        ("a.py", b"x = 1\0\n", "a.py:0: source code string cannot contain null bytes"),
        ("a.json", '{\n"a": 1,\n}', "a.json:3: Expecting property name enclosed in double quotes"),
        ("a.json", b"\xff", "a.json:0: not UTF-8"),
        ("a.yml", "a: 1\n b: 2\n", "a.yml:2: mapping values are not allowed in this context"),
        ("a.yml", "a: &x 1\n---\nb: *x\n", "a.yml:3: undefined alias x"),
        ("a.toml", "a = 1\nb = \n", "a.toml:2: Invalid value"),
        ("a.toml", b"a = '\xff'", "a.toml:0: not UTF-8"),
    ],
)
def test_what_does_not_parse_is_named_with_its_line(tmp_path, path, content, told):
    report, _ = check(tmp_path, {path: content})
    assert [str(problem) for problem in report.problems] == [told]
    assert report.parsed == 1


def test_python_is_rejected_only_when_the_project_interpreter_agrees(tmp_path):
    interpreter = tmp_path / ".venv" / "bin" / "python"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text("#!/bin/sh\necho '[]'\n")  # one that knows a newer Python
    interpreter.chmod(0o755)
    report, programs = check(tmp_path, {"a.py": "x = = 1\n", "b.py": "y = 1\n"})
    assert (report.parsed, report.problems) == (2, [])
    assert programs == ["python3", "./.venv/bin/python"]


def test_without_any_interpreter_our_own_word_counts(tmp_path):
    report, _ = check(tmp_path, {"a.py": "x = = 1\n", "big.py": "x = 1\n" * 50_000}, present=False)
    assert [str(problem) for problem in report.problems] == ["a.py:1: invalid syntax"]
    assert report.skipped == [("big.py", "too large to be parsed here")]


def test_large_python_files_go_to_the_project_interpreter(tmp_path):
    bad = "x = 1\n" * 50_000 + "y = = 1\n"
    report, programs = check(tmp_path, {"big.py": "x = 1\n" * 50_000, "bad.py": bad})
    assert [str(problem) for problem in report.problems] == ["bad.py:50001: invalid syntax"]
    assert (report.parsed, programs) == (2, ["python3"])


SKIPPED = {
    "a.rs": "fn",
    "no_suffix": "x",
    "tests/fixtures/bad.json": "{",
    "tsconfig.base.json": "{ // comment\n}",
    ".vscode/settings.json": "{,}",
    "chart/templates/x.yaml": "a: {{ .Values.x }}\n{{- if .y }}\n",
    "{{cookiecutter.name}}/setup.py": "import {{ x }}",
    "huge.json": "[" + " " * 1024 * 1024 + "]",
    "deep.json": "[" * 100_000,
    "deep.py": "x = " + "-" * 100_000 + "1",
}


def test_everything_else_is_recorded_as_skipped(tmp_path):
    report, programs = check(tmp_path, SKIPPED)
    assert [path for path, _ in report.skipped] == sorted(SKIPPED)
    assert (report.parsed, report.problems, programs) == (0, [], [])


def test_deleted_files_links_and_strange_paths_count_for_nothing(tmp_path):
    root = tmp_path / "w"
    (root / "real").mkdir(parents=True)
    (tmp_path / "outside.json").write_text("{")
    (root / "link.json").symlink_to(tmp_path / "outside.json")
    (root / "folder").symlink_to(tmp_path)
    paths = ["gone.py", "link.json", "folder/outside.json", "../outside.json", "real"]
    report = asyncio.run(check_syntax(root, paths, Tools(root)))
    assert report == SyntaxReport()


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.yaml", "[" * 400_000),
        ("a.yaml", "{a: " * 200_000),
        ("a.yaml", "- " * 130_000),
        ("a.toml", "a." * 120_000 + "a=1"),
        ("a.toml", "a=" + "[" * 120_000),
        ("a.py", "x=f'" + "{a}" * 40_000 + "'"),
    ],
)
def test_hostile_files_cannot_stop_the_runtime(tmp_path, path, content):
    """Every bound holds: a file made to be slow is refused by what it looks like [I10]."""
    started = time.process_time()
    report, _ = check(tmp_path, {path: content})
    assert time.process_time() - started < 5
    assert report.problems == []


node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not here")


@node
def test_node_judges_javascript(tmp_path):
    files = {
        "a.js": "#!/usr/bin/env node\nconst x = require('x'); return;\n",
        "b.js": "import x from 'y';\nexport default await x;\n",
        "c.mjs": "export default 3 3;\n",
        "d.cjs": "module.exports = 1;\n\nconst = 3;\n",
        "e.js": "const a = ;\n",
        "-f.js": "export const a = 1;\nexport const b = ;\n",
    }
    report, programs = check(tmp_path, files)
    assert [str(problem) for problem in report.problems] == [
        "-f.js:2: Unexpected token ';'",
        "c.mjs:1: Unexpected number",
        "d.cjs:3: Unexpected token '='",
        "e.js:1: Unexpected token ';'",
    ]
    assert (report.parsed, programs) == (6, ["node"])


@node
def test_dialects_of_javascript_are_not_called_broken(tmp_path):
    report, _ = check(tmp_path, {"a.js": "const a = <b/>;\n"})
    assert (report.problems, report.skipped) == ([], [("a.js", "may be a dialect of JavaScript")])
    report, _ = check(tmp_path, {"package.json": '{"devDependencies": {"flow-bin": "1"}}', "a.js": "let a: number;\n"})
    assert (report.problems, report.skipped) == ([], [("a.js", "may be a dialect of JavaScript")])


@node
def test_typescript_is_transpiled_by_the_project_own_compiler(tmp_path):
    report, programs = check(tmp_path, {"a.ts": "let a: number = 1;\n"})
    assert (report.skipped, programs) == ([("a.ts", "typescript is not in node_modules")], [])
    module = tmp_path / "node_modules" / "typescript"
    module.mkdir(parents=True)
    (module / "index.js").write_text(TYPESCRIPT_STANDIN)
    report, _ = check(tmp_path, {"a.ts": "let a: number = 1;\n", "b.tsx": "ok\nBROKEN\n"})
    assert [str(problem) for problem in report.problems] == ["b.tsx:2: ';' expected."]
    assert report.parsed == 2


TYPESCRIPT_STANDIN = """
// The part of the compiler's interface that the check uses, with one rule: BROKEN does not parse.
exports.JsxEmit = { Preserve: 1 }; exports.ScriptTarget = { ESNext: 99 }; exports.ModuleKind = { ESNext: 99 };
exports.DiagnosticCategory = { Warning: 0, Error: 1 };
exports.flattenDiagnosticMessageText = (text) => text;
exports.transpileModule = (text) => {
  const start = text.indexOf("BROKEN");
  const file = { getLineAndCharacterOfPosition: (at) => ({ line: text.slice(0, at).split("\\n").length - 1 }) };
  return { diagnostics: start < 0 ? [] : [{ category: 1, file, start, messageText: "';' expected." }] };
};
"""


@pytest.mark.skipif(shutil.which("javac") is None, reason="javac is not here")
def test_java_is_parsed_and_nothing_more(tmp_path):
    files = {
        "src/Good.java": "import no.such.Thing;\nclass Good extends Missing { Thing t; }\n",
        "src/Bad.java": "class Bad {\n  void f() { int y = 3 }\n}\n",
    }
    report, _ = check(tmp_path, files)
    assert [str(problem) for problem in report.problems] == ["src/Bad.java:2: expected: ';'"]
    assert report.parsed == 2


def test_without_tools_their_files_are_skipped(tmp_path):
    files = {"a.js": "x", "B.java": "x"}
    report, _ = check(tmp_path, files, present=False)
    assert sorted(report.skipped) == [("B.java", "javac is not there"), ("a.js", "node is not there")]


def test_a_tool_that_lies_is_not_believed(tmp_path):
    """Output of a tool is data: paths nobody asked about and other shapes are refused."""

    async def run(argv: Sequence[str]) -> str | None:
        return '[["./other.js", 1, "x"]]' if argv[0] == "node" else "nonsense"

    (tmp_path / "a.js").write_text("x")
    report = asyncio.run(check_syntax(tmp_path, ["a.js"], run))
    assert (report.parsed, report.problems) == (1, [])


def test_the_common_case_is_quick(tmp_path):
    files = {f"m{n}.py": Path(__file__).read_text() for n in range(3)}
    check(tmp_path, files)
    started = time.process_time()
    report = asyncio.run(check_syntax(tmp_path, files, Tools(tmp_path)))
    print(f"3 files of {Path(__file__).stat().st_size} bytes: {time.process_time() - started:.4f} s", file=sys.stderr)
    assert report.parsed == 3
    assert time.process_time() - started < 0.5
