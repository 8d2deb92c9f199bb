"""Comments and settings that silence a check: what is one, what is new, and whether it holds for everything."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.adapters.integrity.find import Changed
from chargehand.adapters.integrity.silences import find_silenced, may_suppress

PYTHON = [
    "x = 1  # noqa",
    "x = 1  # noqa: E501",
    "x = f()  # type: ignore",
    "x = f()  # type: ignore[attr-defined]",
    "# ruff: noqa: F401",
    "# flake8: noqa",
    "# ruff: disable[E501]",
    "# pylint: disable=broad-except",
    "# pylint: skip-file",
    "# mypy: ignore-errors",
    '# mypy: disable-error-code="attr-defined"',
    "x = f()  # pyright: ignore[reportGeneralTypeIssues]",
    "# pyright: basic",
    "x = f()  # ty: ignore",
    "run(x)  # nosec B602",
    "if x:  # pragma: no cover\n    pass",
    "# fmt: off",
    "# isort: skip_file",
    "@no_type_check\ndef f(x): return x.y",
    "@typing.no_type_check\nclass A: pass",
]
SCRIPT = [
    "// @ts-ignore",
    "/* @ts-expect-error: later */",
    "// @ts-nocheck",
    "/* eslint-disable */",
    "f(); // eslint-disable-line no-console",
    "// eslint-disable-next-line no-console, foo/bar -- why",
    "/* eslint no-console: 'off' */",
    "// biome-ignore lint: x",
    "/* istanbul ignore next */",
    "// prettier-ignore",
    "// $FlowFixMe",
    "// svelte-ignore state_referenced_locally",
]
OTHERS = {
    "a.rs": "#[allow(dead_code)]\nfn f() {}",
    "b.rs": "#![cfg_attr(test, allow(unused))]",
    "A.java": '@SuppressWarnings("unchecked")',
    "a.kt": '@file:Suppress("x")',
    "a.go": "f() //nolint:errcheck",
    "a.rb": "f # rubocop:disable Style/X",
    "a.sh": "# shellcheck disable=SC2086",
    "a.cs": "#pragma warning disable CS0168",
    "a.c": '#pragma GCC diagnostic ignored "-Wall"',
    "a.swift": "// swiftlint:disable x",
    "a.php": "// @phpstan-ignore-next-line",
    "a.vue": "<!-- eslint-disable-next-line vue/x -->",
    "a.dart": "// ignore: avoid_print",
    "a.sql": "SELECT 1 -- noqa",
    "a.svelte": "<!-- svelte-ignore a11y_autofocus -->",
    "b.vue": "<!-- eslint no-console: off -->",
    "a.html": "<!-- eslint-disable -->",
    "a.pyw": "x = f()  # type: ignore",
    "b.pyw": "@no_type_check\ndef f(x): return x",
    "b.py": "# -*- coding: utf-7 -*-",
}
SILENT = {
    "a.py": 'x = "# type: ignore"\ny = """\n# noqa\n"""\n'
    "# the type is ignored; nothing of noqa\nz = 1  # a type: ignored\n",
    "c.py": "from typing import no_type_check\nfrom typing import (\n    Any,\n    no_type_check,\n)\n"
    "# nobody may use @no_type_check\nx = 'no_type_check'\n",
    "d.py": "# -*- coding: utf-8 -*-\n# encoding: latin-1\n",
    "b.py": "# mypy: strict\n# pylint: enable=x\n# pyright: strict\n# fmt: on\n",
    "a.ts": 'const a = "// @ts-ignore";\nconst b = `/* eslint-disable */`;\n'
    "// nobody may use @ts-ignore here\n/* eslint eqeqeq: 2 */\n",
    "a.tsx": "const a = <p>// @ts-ignore</p>;\n",
    "a.rs": 'let s = "#[allow(x)]";\n#[derive(Debug)]\n',
    "a.md": "Use `# noqa`.\n",
}


def found(files: dict[str, tuple[str | None, str | None]]) -> list[str]:
    changed = [
        Changed(path=path, old=old, new=new, existed=old is not None, exists=new is not None)
        for path, (old, new) in files.items()
    ]
    return [str(each) for each in find_silenced(changed)]


# -- comments -------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", PYTHON)
def test_comments_of_python(line: str):
    """By its tokens, and by its lines where it does not parse."""
    assert len(found({"a.py": ("x = 1\n", f"x = 1\n{line}\n")})) == 1
    assert len(found({"a.py": ("x = 1\n", f"def (:\n{line}\n")})) == 1


@pytest.mark.parametrize("line", ["from typing import no_type_check as fast", "g = typing.no_type_check(g)"])
def test_a_function_that_switches_checks_off_under_another_name(line: str):
    assert found({"a.py": ("x = 1\n", f"x = 1\n{line}\n")}) == ["a.py:2 comment @no_type_check"]


@pytest.mark.parametrize("line", SCRIPT)
@pytest.mark.parametrize("name", ["a.js", "a.ts", "a.tsx"])
def test_comments_of_scripts(line: str, name: str):
    assert len(found({name: ("f();\n", f"f();\n{line}\n")})) == 1


@pytest.mark.parametrize("name", OTHERS)
def test_marks_of_other_languages(name: str):
    assert len(found({name: ("\n", f"\n{OTHERS[name]}\n")})) == 1


SCRIPTS = {
    "python": ("#!/usr/bin/env python3\n", "x = f()  # type: ignore", 'x = "# type: ignore"'),
    "uv": ("#!/usr/bin/env -S uv run --script\n", "@no_type_check\ndef f(x): return x", "y = 'no_type_check'"),
    "node": ("#!/usr/bin/env node\n", "// eslint-disable-next-line", 'const a = "// eslint-disable-line";'),
    "shell": ("#!/bin/sh -e\n", "# shellcheck disable=SC2086", 'echo "# shellcheck disable=SC2086"'),
}


@pytest.mark.parametrize("what", SCRIPTS)
def test_a_script_without_a_suffix_is_known_by_its_first_line(what: str):
    first, silencing, text = SCRIPTS[what]
    assert len(found({"bin/run": (first, f"{first}{silencing}\n")})) == 1
    assert found({"bin/run": (first, f"{first}{text}\n")}) == []
    assert found({"bin/run": (None, f"see {silencing}\n")}) == [], "a file that nothing runs"
    for hint, path in ((True, "bin/run"), (True, "a.ipynb"), (False, "a.txt")):
        assert may_suppress(path, f"{first}{silencing}\n".encode()) is hint
    assert not may_suppress("LICENSE", silencing.encode())
    assert not may_suppress("bin/run", first.encode())


def notebook(*sources: str | list[str], kind: str = "code", language: str = "python") -> str:
    listed: list[dict[str, object]] = [
        {"cell_type": kind, "metadata": {}, "outputs": [], "source": source} for source in sources
    ]
    return json.dumps({"cells": listed, "metadata": {"kernelspec": {"language": language}}, "nbformat": 4}, indent=1)


def test_a_notebook_is_read_by_the_source_of_its_cells():
    old = notebook("import os", ["%matplotlib inline\n", "y = 2\n"])
    new = notebook("import os", ["%matplotlib inline\n", 'y = "ü"  # type: ignore\n'])
    line = next(number for number, text in enumerate(new.splitlines(), start=1) if "type: ignore" in text)
    assert found({"a.ipynb": (old, new)}) == [f"a.ipynb:{line} comment # type: ignore"]
    assert len(found({"a.ipynb": (old, new.replace("ignore", "\\u0069gnore"))})) == 1, "whatever JSON makes of it"
    assert len(found({"a.ipynb": (old, notebook("f();  // @ts-ignore", language="typescript"))})) == 1
    assert len(found({"a.ipynb": (old, notebook("x <- 1  # noqa", language="R"))})) == 1
    assert found({"a.ipynb": (new, notebook(['y = "ü"  # type: ignore\n'], "z = 1"))}) == []


@pytest.mark.parametrize(
    "text",
    [
        notebook('x = "# type: ignore"'),
        notebook("# type: ignore", kind="markdown"),
        json.dumps({"cells": [{"cell_type": "code", "source": [1]}, 2, {"source": "# noqa"}], "metadata": 1}),
        '{"cells": 3} ',
        "[# noqa",
        "[" * 100_000,
        '"# noqa"',
    ],
)
def test_what_is_no_code_of_a_notebook_silences_nothing(text: str):
    assert found({"a.ipynb": (None, text)}) == []


@pytest.mark.parametrize("name", SILENT)
def test_words_in_a_text_silence_nothing(name: str):
    assert found({name: (None, SILENT[name])}) == []


def test_a_comment_is_told_with_its_place():
    new = "import os\n\n\ndef f(x):\n    return x.y  # type: ignore[attr-defined]\n"
    assert found({"src/a.py": ("import os\n", new)}) == ["src/a.py:5 comment # type: ignore[attr-defined]"]
    assert found({"b.js": (None, "/* eslint\n   eqeqeq: 2, curly: 0 */\n")}) != []
    assert found({"src/a.ts": (None, "/**\n * @ts-ignore\n */\nf();\n")}) == ["src/a.ts:2 comment * @ts-ignore"]


def test_what_moved_or_was_indented_is_not_new():
    old = "x = f()  # noqa: E1\ny = 2\nz = g()  # type: ignore\n"
    new = "if y:\n    z = g()  # type: ignore\n    w = 3\n    x = f()  # noqa: E1\n"
    assert found({"a.py": (old, new)}) == []
    assert found({"a.py": (old, "y = 2\n"), "b.py": (None, old)}) == []
    assert found({"a.py": (old, None), "c/a.py": (None, new)}) == []
    assert len(found({"a.py": (old, None), "c/a.py": (None, "v = h()  # noqa: E1\n")})) == 1, "another line"
    assert found({"a.py": (old, old + "v = 4  # noqa: E1\n")}) == ["a.py:4 comment # noqa: E1"]


def test_what_covers_less_than_before_is_not_new_and_what_covers_more_is():
    line = "x = f()  # {}\n"
    for wide, narrow in (
        ("noqa", "noqa: E501"),
        ("noqa: E501, F401", "noqa: F401"),
        ("type: ignore[a, b]", "type: ignore[b]"),
        ("type: ignore", "type: ignore[b]"),
    ):
        assert found({"a.py": (line.format(wide), line.format(narrow))}) == []
        assert len(found({"a.py": (line.format(narrow), line.format(wide))})) == 1
    assert len(found({"a.py": (line.format("noqa: E501"), line.format("noqa: F401"))})) == 1
    assert len(found({"a.ts": ("f(); // eslint-disable-line\n", "/* eslint-disable */\nf();\n")})) == 1


LINES = st.sampled_from([*PYTHON, "x = 1", "", 'y = "# noqa"', "    z = 2"])
ODD = st.text(st.sampled_from("#*/-<[({'\"`\\ \n\t:=,aE1\x00\ud800é"), max_size=60)


@given(lines=st.lists(LINES, max_size=12), data=st.data())
def test_any_order_and_any_depth_of_the_same_lines_adds_nothing(lines: list[str], data: st.DataObject):
    """A property of every file: what it silences is counted, not where."""
    moved = data.draw(st.permutations(lines))
    depth = data.draw(st.integers(min_value=0, max_value=3))
    new = "\n".join("    " * depth + line for part in moved for line in part.split("\n"))
    assert found({"a.py": ("\n".join(lines), new)}) == []
    more = found({"a.py": ("\n".join(lines), f"{new}\nw = 3  # nosec B999\n")})
    assert [line.split(" comment ")[1] for line in more] == ["# nosec B999"]


@given(
    path=st.sampled_from(
        ["a.py", "a.ts", "a.tsx", "a.rs", "pyproject.toml", "mypy.ini", ".eslintrc.json", "ruff.toml"]
    ),
    parts=st.lists(
        st.one_of(ODD, LINES, st.sampled_from(SCRIPT), st.sampled_from(["[tool.ruff]", "ignore = 3"])), max_size=8
    ),
)
def test_whatever_a_file_holds_it_is_read(path: str, parts: list[str]):
    text = "\n".join(parts)
    for each in found({path: (None, text)}) + found({path: (text, "\n")}):
        assert each.startswith(path)


@pytest.mark.parametrize(
    "text",
    [
        "# noqa\n" * 60_000,
        "#[allow(" * 50_000,
        "/" * 400_000,
        "# type: ignore[" * 30_000,
        "/*" * 200_000,
        "/* eslint a" * 2_000,
        "@Suppress(" * 40_000,
    ],
)
@pytest.mark.parametrize("name", ["a.py", "a.rs"])
def test_no_file_holds_the_runtime_up(name: str, text: str):
    """I10."""
    began = time.monotonic()
    assert len(found({name: ("x = 1\n", text)})) <= 200
    assert time.monotonic() - began < 20


# -- configuration --------------------------------------------------------------------------------


PYPROJECT = '[project]\nname = "a"\n[tool.ruff.lint]\nselect = ["E"]\n[tool.mypy]\nstrict = true\n'
SETTINGS = {
    "first ignore of ruff": ("pyproject.toml", "[project]\n", '[project]\n[tool.ruff.lint]\nignore = ["E501"]\n'),
    "first settings of mypy": ("pyproject.toml", "[project]\n", "[project]\n[tool.mypy]\nignore_errors = true\n"),
    "not strict from the start": ("pyproject.toml", "[project]\n", "[project]\n[tool.mypy]\nstrict = false\n"),
    "error codes": ("mypy.ini", None, "[mypy]\ndisable_error_code = attr-defined\n"),
    "imports that are not followed": ("mypy.ini", None, "[mypy]\nfollow_imports = skip\n"),
    "setup.cfg": ("setup.cfg", "[metadata]\nname = a\n", "[metadata]\nname = a\n[flake8]\nextend-ignore = E501\n"),
    "tox.ini": ("tox.ini", "[tox]\n", "[tox]\n[flake8]\nignore = E501\n"),
    "pylintrc": (".pylintrc", None, "[MESSAGES CONTROL]\ndisable=all\n"),
    "a new ruff.toml": ("ruff.toml", None, '[lint]\nignore = ["ALL"]\n'),
    "tsconfig": ("tsconfig.json", None, '{"compilerOptions": {"strict": false}}'),
    "tsconfig, one of them": ("app/tsconfig.json", None, '{"compilerOptions": {"noImplicitAny": false}}'),
    "eslint": (".eslintrc.json", None, '{"rules": {"no-undef": "off"}}'),
    "eslint of package.json": ("package.json", "{}", '{"eslintConfig": {"rules": {"no-undef": 0}}}'),
    "eslint config": ("eslint.config.js", None, "export default [{ rules: { eqeqeq: 'off' } }];\n"),
    "pyright": ("pyrightconfig.json", None, '{"reportMissingImports": "none"}'),
    "a mode of pyright": ("pyrightconfig.json", None, '{"typeCheckingMode": "off"}'),
    "all files": ("ruff.toml", None, '[lint.per-file-ignores]\n"*.py" = ["E501"]\n'),
    "all modules": ("mypy.ini", None, "[mypy-*]\nignore_errors = True\n"),
    "all modules of a list": (
        "pyproject.toml",
        PYPROJECT,
        PYPROJECT + '[[tool.mypy.overrides]]\nmodule = ["a", "*"]\nignore_missing_imports = true\n',
    ),
    "all files of an eslint config": (
        "eslint.config.js",
        None,
        "export default [{ files: ['**/*.js', 'a.ts'], rules: { eqeqeq: 'off' } }];\n",
    ),
    "all files of eslint": (
        ".eslintrc.json",
        None,
        '{"overrides": [{"files": ["**/*.js"], "rules": {"no-undef": "off"}}]}',
    ),
}
EXCEPTIONS = {
    "one file": ("ruff.toml", None, '[lint.per-file-ignores]\n"src/a.py" = ["TC003"]\n'),
    "flake8": (".flake8", None, "[flake8]\nper-file-ignores =\n    src/a.py:E501\n"),
    "a library without types": (
        "pyproject.toml",
        PYPROJECT,
        PYPROJECT + '[[tool.mypy.overrides]]\nmodule = "yaml.*"\nignore_missing_imports = true\n',
    ),
    "two of them": (
        "pyproject.toml",
        PYPROJECT,
        PYPROJECT + '[[tool.mypy.overrides]]\nmodule = ["yaml", "six"]\nignore_missing_imports = true\n',
    ),
    "in mypy.ini": ("mypy.ini", None, "[mypy-yaml.*]\nignore_missing_imports = True\n"),
    "files of an eslint config": (
        "eslint.config.js",
        None,
        "export default [{ files: ['src/a.js'], rules: { eqeqeq: 'off', curly: 2 } }];\n",
    ),
    "files of eslint": (
        ".eslintrc.json",
        None,
        '{"overrides": [{"files": ["src/a.js"], "rules": {"no-undef": "off"}}]}',
    ),
}
FINE = {
    "stricter": ("mypy.ini", None, "[mypy]\nstrict = True\nwarn_unused_ignores = True\n"),
    "rules": ("ruff.toml", None, '[lint]\nselect = ["ALL"]\n'),
    "other tools": ("pyproject.toml", "[project]\n", '[project]\n[tool.coverage.run]\nomit = ["x"]\n'),
    "a usual tsconfig": ("tsconfig.json", None, '{"compilerOptions": {"strict": true, "skipLibCheck": true}}'),
    "no longer ignored": ("ruff.toml", '[lint]\nignore = ["E501"]\n', "[lint]\nignore = []\n"),
    "broken": ("ruff.toml", None, "[lint\n"),
    "gone": ("ruff.toml", '[lint]\nselect = ["E"]\n', None),
    "no configuration": ("data.toml", None, 'ignore = ["x"]\n'),
}


@pytest.mark.parametrize("what", SETTINGS)
def test_a_setting_for_everything(what: str):
    path, old, new = SETTINGS[what]
    (one,) = found({path: (old, new)})
    assert " setting " in one


@pytest.mark.parametrize("what", EXCEPTIONS)
def test_a_setting_for_some_files_or_modules(what: str):
    path, old, new = EXCEPTIONS[what]
    (one,) = found({path: (old, new)})
    assert " exception " in one


@pytest.mark.parametrize("what", FINE)
def test_what_silences_nothing(what: str):
    path, old, new = FINE[what]
    assert found({path: (old, new)}) == []


def test_a_setting_is_told_with_its_place():
    (one,) = found({"ruff.toml": (None, '[lint.per-file-ignores]\n"src/a.py" = ["TC003"]\n')})
    assert one == "ruff.toml:2 exception lint.per-file-ignores.src/a.py: TC003 added"


def test_what_bends_already_is_told_once():
    """A tool that had settings demands less: that is `tests_bent`, wherever it happens."""
    assert found({"mypy.ini": ("[mypy]\nstrict = True\n", "[mypy]\nstrict = True\nignore_errors = True\n")}) == []


def test_a_file_that_nobody_had_room_for_is_told():
    big = Changed(path="a.py", existed=False, exists=True, unread=True)
    assert [str(each) for each in find_silenced([big])] == [
        "a.py comment what it silences was not looked at: too much changed at once"
    ]
