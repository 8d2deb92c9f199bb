"""What takes force from tests in other languages than Python, and in configuration (SPEC 3.7, item 4)."""

# ruff: noqa: E501  # a file in one line reads better than one in ten

from __future__ import annotations

import json

import pytest

from chargehand.adapters.integrity.find import Changed, find_test_changes
from chargehand.domain.test_changes import TestChangeKind as Kind
from tests.unit.test_test_integrity import Files, found

# -- JavaScript, TypeScript ---------------------------------------------------------------------------

JS = """
import {sum, parse} from './sum';
import * as api from './api';

describe('sum', () => {
  it('adds', () => {
    expect(sum(1, 2)).toBe(3);
    expect(sum(2, 2)).toEqual(4);
  });
  it('is close', () => {
    expect(sum(0.1, 0.2)).toBeCloseTo(0.3, 5);
    expect(() => parse('x')).toThrow('bad');
    expect(sum(5, 5)).toBeGreaterThan(9);
  });
  it.each([[1, 2], [2, 3]])('next %i', (a, b) => {
    expect(sum(a, 1)).toBe(b);
  });
});
test('api', async () => {
  expect(await api.load(1)).toEqual({id: 1});
});
"""


def js(old: str, new: str, path: str = "src/sum.test.ts") -> Files:
    assert old in JS, old
    return {path: (JS, JS.replace(old, new, 1))}


JS_BENT: dict[str, tuple[Files, Kind]] = {
    "it.skip": (js("it('adds'", "it.skip('adds'"), Kind.SKIPPED),
    "xit": (js("it('adds'", "xit('adds'"), Kind.SKIPPED),
    "it.only": (js("it('adds'", "it.only('adds'"), Kind.SKIPPED),
    "it.todo": (
        js(
            "it('adds', () => {\n    expect(sum(1, 2)).toBe(3);\n    expect(sum(2, 2)).toEqual(4);\n  })",
            "it.todo('adds')",
        ),
        Kind.SKIPPED,
    ),
    "it.fails": (js("it('adds'", "it.fails('adds'"), Kind.SKIPPED),
    "describe.skip": (js("describe('sum'", "describe.skip('sum'"), Kind.SKIPPED),
    "option of node": (js("it('adds', ()", "it('adds', {skip: true}, ()"), Kind.SKIPPED),
    "skip in the body": (js("expect(sum(1, 2)).toBe(3)", "this.skip(); expect(sum(1, 2)).toBe(3)"), Kind.SKIPPED),
    "playwright fixme": (js("expect(sum(1, 2)).toBe(3)", "test.fixme(); expect(sum(1, 2)).toBe(3)"), Kind.SKIPPED),
    "each that is skipped": (js("it.each(", "it.skip.each("), Kind.SKIPPED),
    "gone": (js("test('api', async () => {\n  expect(await api.load(1)).toEqual({id: 1});\n});\n", ""), Kind.DELETED),
    "commented out": (
        js(
            "test('api', async () => {\n  expect(await api.load(1)).toEqual({id: 1});\n});\n",
            "// test('api', async () => {\n//   expect(await api.load(1)).toEqual({id: 1});\n// });\n",
        ),
        Kind.DELETED,
    ),
    "assertion gone": (js("    expect(sum(2, 2)).toEqual(4);\n", ""), Kind.WEAKENED),
    "assertion of nothing": (js("expect(sum(1, 2)).toBe(3)", "expect(true).toBe(true)"), Kind.WEAKENED),
    "assertion of itself": (js("expect(sum(1, 2)).toBe(3)", "expect(x).toBe(x)"), Kind.WEAKENED),
    "assertion without a matcher": (js("expect(sum(1, 2)).toBe(3)", "expect(sum(1, 2))"), Kind.WEAKENED),
    "value loosened": (js("expect(sum(1, 2)).toBe(3)", "expect(sum(1, 2)).toBeDefined()"), Kind.WEAKENED),
    "value loosened to anything": (js("toEqual({id: 1})", "toEqual(expect.anything())"), Kind.WEAKENED),
    "value loosened to a part": (js("toEqual({id: 1})", "toMatchObject({})"), Kind.WEAKENED),
    "digits lowered": (js("(0.3, 5)", "(0.3, 1)"), Kind.WEAKENED),
    "bound lowered": (js("toBeGreaterThan(9)", "toBeGreaterThan(0)"), Kind.WEAKENED),
    "message no longer matched": (js("toThrow('bad')", "toThrow()"), Kind.WEAKENED),
    "row gone": (js("[[1, 2], [2, 3]]", "[[1, 2]]"), Kind.WEAKENED),
    "swallowed": (
        js("expect(sum(1, 2)).toBe(3);", "try { expect(sum(1, 2)).toBe(3); } catch (e) { console.log(e); }"),
        Kind.WEAKENED,
    ),
    "behind a return": (js("expect(sum(1, 2)).toBe(3);", "return;\n    expect(sum(1, 2)).toBe(3);"), Kind.WEAKENED),
    "returns under a condition": (
        js("expect(sum(1, 2)).toBe(3);", "if (!process.env.ALL) return;\n    expect(sum(1, 2)).toBe(3);"),
        Kind.WEAKENED,
    ),
    "under a condition": (
        js("expect(sum(1, 2)).toBe(3);", "if (process.env.X) { expect(sum(1, 2)).toBe(3); }"),
        Kind.WEAKENED,
    ),
    "exit": (js("describe('sum'", "process.exit(0);\ndescribe('sum'"), Kind.EXITS),
    "exit code": (js("describe('sum'", "afterAll(() => { process.exitCode = 0; });\ndescribe('sum'"), Kind.EXITS),
    "exit of what is imported": (
        {"src/sum.ts": ("export const x = 1;\n", "export const x = 1;\nprocess.exit(0);\n")},
        Kind.EXITS,
    ),
    "jest.mock": (js("describe('sum'", "jest.mock('./sum', () => ({sum: () => 3}));\ndescribe('sum'"), Kind.MOCKED),
    "vi.mock": (js("describe('sum'", "vi.mock('./sum');\ndescribe('sum'"), Kind.MOCKED),
    "spy with an answer": (
        js("  expect(await api", "  jest.spyOn(api, 'load').mockResolvedValue({id: 1});\n  expect(await api"),
        Kind.MOCKED,
    ),
    "tsx": (js("it('adds'", "it.skip('adds'", path="src/sum.test.tsx"), Kind.SKIPPED),
    "does not parse": (js("it('adds', () => {", "it.skip('adds', () => {{"), Kind.SKIPPED),
}
JS_FINE: dict[str, Files] = {
    "new test": js("test('api'", "test('more', () => { expect(sum(0, 0)).toBe(0); });\ntest('api'"),
    "new todo": js("test('api'", "test.todo('more');\ntest('api'"),
    "another value": js("toBe(3)", "toBe(4)"),
    "more rows": js("[[1, 2], [2, 3]]", "[[1, 2], [2, 3], [3, 4]]"),
    "made rows": js(
        "    expect(sum(1, 2)).toBe(3);\n    expect(sum(2, 2)).toEqual(4);\n",
        "    for (const [a, b, c] of [[1, 2, 3], [2, 2, 4]]) {\n      expect(sum(a, b)).toBe(c);\n    }\n",
    ),
    "renamed": js("it('adds'", "it('adds numbers'"),
    "format": js("expect(sum(1, 2)).toBe(3)", "expect(\n      sum(1, 2)).toBe(3)"),
    "the word in a text": js("toThrow('bad')", "toThrow('bad it.skip process.exit(0)')"),
    "mock of another module": js("describe('sum'", "jest.mock('./clock');\ndescribe('sum'"),
    "spy that only looks": js("  expect(await api", "  const seen = jest.spyOn(api, 'load');\n  expect(await api"),
    "exit of a function": {"src/cli.ts": ("x();\n", "export function main() { process.exit(0); }\n")},
    "file moved": {"src/sum.test.ts": (JS, None), "src/math/sum.test.ts": (None, JS)},
}

# -- others -------------------------------------------------------------------------------------------

GO = 'package a\n\nfunc TestAdd(t *testing.T) {\n\tif Add(1, 2) != 3 {\n\t\tt.Errorf("no")\n\t}\n\tassert.Equal(t, 4, Add(2, 2))\n}\n'
RUST = "#[cfg(test)]\nmod tests {\n    #[test]\n    fn adds() {\n        assert_eq!(add(1, 2), 3);\n        assert!(add(2, 2) > 3);\n    }\n}\n"
JAVA = "class CalcTest {\n  @Test\n  void adds() {\n    assertEquals(3, add(1, 2));\n    assertTrue(add(2, 2) > 3);\n  }\n}\n"
RUBY = "describe Calc do\n  it 'adds' do\n    expect(add(1, 2)).to eq(3)\n    expect(add(2, 2)).to eq(4)\n  end\nend\n"
CSHARP = "class CalcTests {\n  [Test]\n  public void Adds() {\n    Assert.AreEqual(3, Add(1, 2));\n  }\n}\n"


def of(path: str, text: str, old: str, new: str) -> Files:
    assert old in text, old
    return {path: (text, text.replace(old, new, 1))}


OTHER_BENT: dict[str, tuple[Files, Kind]] = {
    "go skip": (of("a_test.go", GO, "\tif", '\tt.Skip("later")\n\tif'), Kind.SKIPPED),
    "go assertion gone": (of("a_test.go", GO, "\tassert.Equal(t, 4, Add(2, 2))\n", ""), Kind.WEAKENED),
    "go commented out": (of("a_test.go", GO, "\tassert.Equal", "\t// assert.Equal"), Kind.WEAKENED),
    "go renamed": (of("a_test.go", GO, "func TestAdd", "func testAdd"), Kind.DELETED),
    "go exit": (of("a_test.go", GO, "\tif", "\tos.Exit(0)\n\tif"), Kind.EXITS),
    "rust ignore": (of("tests/a.rs", RUST, "    fn adds", '    #[ignore = "slow"]\n    fn adds'), Kind.SKIPPED),
    "rust trivial": (of("tests/a.rs", RUST, "assert!(add(2, 2) > 3)", "assert!(true)"), Kind.WEAKENED),
    "rust no test": (of("tests/a.rs", RUST, "    #[test]\n", ""), Kind.DELETED),
    "java disabled": (of("src/test/java/CalcTest.java", JAVA, "  @Test\n", "  @Disabled\n  @Test\n"), Kind.SKIPPED),
    "java ignore": (of("src/test/java/CalcTest.java", JAVA, "  @Test\n", "  @Ignore\n  @Test\n"), Kind.SKIPPED),
    "java trivial": (
        of("src/test/java/CalcTest.java", JAVA, "assertEquals(3, add(1, 2))", "assertTrue(true)"),
        Kind.WEAKENED,
    ),
    "java exit": (
        of("src/test/java/CalcTest.java", JAVA, "    assertTrue", "    System.exit(0);\n    assertTrue"),
        Kind.EXITS,
    ),
    "ruby xit": (of("spec/calc_spec.rb", RUBY, "  it 'adds'", "  xit 'adds'"), Kind.SKIPPED),
    "ruby pending": (of("spec/calc_spec.rb", RUBY, "    expect(add(1", "    pending\n    expect(add(1"), Kind.SKIPPED),
    "ruby gone": (of("spec/calc_spec.rb", RUBY, "    expect(add(2, 2)).to eq(4)\n", ""), Kind.WEAKENED),
    "c# ignore": (of("CalcTests.cs", CSHARP, "  [Test]\n", '  [Test]\n  [Ignore("x")]\n'), Kind.SKIPPED),
    "file of an unknown language gone": ({"tests/calc.hs": ("main = test\n", None)}, Kind.DELETED),
    "snapshot gone": ({"src/__snapshots__/a.test.js.snap": ("exports[`a`] = `1`;\n", None)}, Kind.DELETED),
}
OTHER_FINE: dict[str, Files] = {
    "go comment": of("a_test.go", GO, "\tif", "\t// t.Skip is no answer\n\tif"),
    "go new test": of("a_test.go", GO, "package a\n", "package a\n\nfunc TestMore(t *testing.T) {\n\tt.Error(1)\n}\n"),
    "rust new test": of(
        "tests/a.rs", RUST, "    #[test]\n", "    #[test]\n    fn more() { assert!(add(0, 0) == 0); }\n    #[test]\n"
    ),
    "java another value": of("src/test/java/CalcTest.java", JAVA, "3, add", "4, add"),
    "ruby another name": of("spec/calc_spec.rb", RUBY, "it 'adds'", "it 'adds numbers'"),
}

# -- configuration ------------------------------------------------------------------------------------

PYPROJECT = """
[project]
name = "a"
[tool.pytest.ini_options]
addopts = "-ra --strict-markers"
testpaths = ["tests", "more"]
xfail_strict = true
filterwarnings = ["error"]
[tool.coverage.report]
fail_under = 90
omit = ["a.py"]
[tool.ruff.lint]
select = ["E", "F"]
ignore = ["E501"]
mccabe.max-complexity = 8
[tool.mypy]
strict = true
"""
PACKAGE = {
    "name": "a",
    "scripts": {"test": "jest --coverage", "start": "node ."},
    "jest": {"coverageThreshold": {"global": {"lines": 90}}},
}


def toml(old: str, new: str) -> Files:
    return of("pyproject.toml", PYPROJECT, old, new)


def package(**changes: object) -> Files:
    new = {**PACKAGE, **changes}
    return {"package.json": (json.dumps(PACKAGE), json.dumps(new, indent=1))}


CI = "jobs:\n  test:\n    steps:\n      - run: pytest -q\n      - run: npm run lint\n"
CONFIG_BENT: dict[str, Files] = {
    "fail_under": toml("fail_under = 90", "fail_under = 50"),
    "fail_under gone": toml("fail_under = 90\n", ""),
    "addopts -k": toml("--strict-markers", "--strict-markers -k 'not add'"),
    "addopts --deselect": toml("--strict-markers", "--strict-markers --deselect tests/test_a.py::test_b"),
    "addopts --ignore": toml("--strict-markers", "--strict-markers --ignore=tests/test_a.py"),
    "addopts -m": toml("--strict-markers", "--strict-markers -m 'not slow'"),
    "addopts strict gone": toml(" --strict-markers", ""),
    "testpaths": toml('["tests", "more"]', '["tests"]'),
    "xfail_strict": toml("xfail_strict = true", "xfail_strict = false"),
    "filterwarnings": toml('["error"]', "[]"),
    "omit": toml('omit = ["a.py"]', 'omit = ["a.py", "b.py"]'),
    "ruff ignore": toml('ignore = ["E501"]', 'ignore = ["E501", "F401"]'),
    "ruff select": toml('["E", "F"]', '["E"]'),
    "ruff complexity": toml("max-complexity = 8", "max-complexity = 50"),
    "mypy strict": toml("[tool.mypy]\nstrict = true\n", "[tool.mypy]\nstrict = false\n"),
    "mypy ignore_errors": toml("[tool.mypy]\n", "[tool.mypy]\nignore_errors = true\n"),
    "mypy override": toml(
        "[tool.mypy]\nstrict = true\n",
        "[tool.mypy]\nstrict = true\n[[tool.mypy.overrides]]\nmodule = 'a.b'\nignore_errors = true\n",
    ),
    "per-file-ignores": toml("[tool.mypy]", "[tool.ruff.lint.per-file-ignores]\n'src/a.py' = ['F401']\n[tool.mypy]"),
    "setup.cfg": of("setup.cfg", "[tool:pytest]\naddopts = -ra\n", "-ra", "-ra -k good"),
    "pytest.ini that is new": {"pytest.ini": (None, "[pytest]\naddopts = --deselect tests/test_a.py::test_b\n")},
    "pytest.ini testpaths": of("pytest.ini", "[pytest]\ntestpaths = tests more\n", " more", ""),
    "tox": of("tox.ini", "[testenv]\ncommands = pytest\n", "pytest", "- pytest"),
    "coveragerc": of(".coveragerc", "[report]\nfail_under = 90\n", "90", "10"),
    "coveragerc omit": of(".coveragerc", "[run]\nomit =\n    a.py\n", "a.py\n", "a.py\n    b.py\n"),
    "flake8": of(".flake8", "[flake8]\nextend-ignore = E501\n", "E501", "E501, F401"),
    "mypy.ini": of("mypy.ini", "[mypy]\ndisallow_untyped_defs = True\n", "True", "False"),
    "script that cannot fail": package(scripts={"test": "jest --coverage || true", "start": "node ."}),
    "script that does nothing": package(scripts={"test": "echo ok", "start": "node ."}),
    "script gone": package(scripts={"start": "node ."}),
    "script without tests": package(scripts={"test": "jest --coverage --passWithNoTests", "start": "node ."}),
    "threshold of jest": package(jest={"coverageThreshold": {"global": {"lines": 40}}}),
    "threshold of jest gone": package(jest={}),
    "ignored by jest": package(jest={**PACKAGE["jest"], "testPathIgnorePatterns": ["src/sum"]}),  # type: ignore[dict-item]
    "vitest config": of(
        "vitest.config.ts",
        "export default defineConfig({ test: { coverage: { thresholds: { lines: 90 } } } });\n",
        "lines: 90",
        "lines: 10",
    ),
    "jest config": of(
        "jest.config.js",
        "module.exports = { testMatch: ['**/*.test.js'] };\n",
        "testMatch: ['**/*.test.js']",
        "testMatch: []",
    ),
    "jest config ignores": of(
        "jest.config.js", "module.exports = { verbose: true };\n", "verbose: true", "testPathIgnorePatterns: ['sum']"
    ),
    "tsconfig strict": of("tsconfig.json", '{ // types\n "compilerOptions": {"strict": true,}, }\n', "true", "false"),
    "tsconfig exclude": of("tsconfig.json", '{"exclude": ["dist"]}', '"dist"', '"dist", "src/a.ts"'),
    "eslint rule": of(".eslintrc.json", '{"rules": {"no-undef": "error"}}', '"error"', '"warn"'),
    "eslint rule off": of("eslint.config.js", "export default [{ rules: { eqeqeq: 2 } }];\n", "2", "'off'"),
    "eslint rule off for some files": of(
        "eslint.config.js",
        "export default [{ files: ['a.js'], rules: { eqeqeq: 2, curly: 2 } }];\n",
        "eqeqeq: 2",
        "eqeqeq: 'off'",
    ),
    "eslint rule gone beside one that is off for some files": of(
        "eslint.config.js",
        "export default [{ rules: { eqeqeq: 2 } }, { files: ['a.js'], rules: { eqeqeq: 'off' } }];\n",
        "{ eqeqeq: 2 }",
        "{}",
    ),
    "eslint yaml": of(".eslintrc.yml", "rules:\n  eqeqeq: error\n", "error", "off"),
    "workflow": of(".github/workflows/ci.yml", CI, "pytest -q", "pytest -q || true"),
    "workflow goes on": of(".github/workflows/ci.yml", CI, "pytest -q", "pytest -q\n        continue-on-error: true"),
    "workflow without tests": of(".github/workflows/ci.yml", CI, "      - run: pytest -q\n", ""),
    "workflow deselects": of(".github/workflows/ci.yml", CI, "pytest -q", "pytest -q --ignore=tests/test_a.py"),
    "pytest files": toml("xfail_strict = true", "xfail_strict = true\npython_files = ['check_*.py']"),
    "pytest.ini that is new and collects nothing": {"pytest.ini": (None, "[pytest]\npython_functions = check\n")},
    "makefile": of("Makefile", "test:\n\tpytest -q\n", "\tpytest", "\t-pytest"),
}
CONFIG_FINE: dict[str, Files] = {
    "new dependency": toml('name = "a"', 'name = "a"\ndependencies = ["x"]'),
    "fail_under raised": toml("fail_under = 90", "fail_under = 95"),
    "new tool": toml("[tool.mypy]", "[tool.pylint.main]\nignore = ['x']\n[tool.mypy]"),
    "other options": toml("-ra", "-ra -q --durations=5"),
    "more paths": toml('["tests", "more"]', '["tests", "more", "again"]'),
    "stricter": toml("max-complexity = 8", "max-complexity = 6"),
    "untyped library": toml(
        "[tool.mypy]\nstrict = true\n",
        "[tool.mypy]\nstrict = true\n[[tool.mypy.overrides]]\nmodule = 'yaml.*'\nignore_missing_imports = true\n",
    ),
    "packaging": toml("[tool.pytest.ini_options]", "[tool.hatch.build]\nexclude = ['docs']\n[tool.pytest.ini_options]"),
    "new package.json": {"package.json": (None, json.dumps({"scripts": {"test": "vitest run"}}))},
    "other script": package(scripts={"test": "jest --coverage", "start": "node . || true"}),
    "script of another runner": package(scripts={"test": "vitest run --coverage", "start": "node ."}),
    "new pyproject": {"pyproject.toml": (None, PYPROJECT)},
    "moved": {
        ".coveragerc": ("[report]\nfail_under = 90\n", None),
        "pyproject.toml": (
            "[project]\nname = 'a'\n",
            "[project]\nname = 'a'\n[tool.coverage.report]\nfail_under = 90\n",
        ),
    },
    "workflow step": of(
        ".github/workflows/ci.yml",
        CI,
        "      - run: pytest -q\n",
        "      - run: pip install .\n      - run: pytest -q\n",
    ),
    "makefile that tells": of(
        "Makefile", "test:\n\tpytest -q\n", "\tpytest", "\t@command -v x || echo 'tests are skipped'\n\tpytest"
    ),
    "pytest files and more": toml(
        "xfail_strict = true", "xfail_strict = true\npython_files = ['test_*.py', 'check_*.py']"
    ),
    "eslint rules of more files": of(
        "eslint.config.js", "export default [{ files: ['a.js'], rules: { eqeqeq: 2, curly: 0 } }];\n", "2", "'error'"
    ),
    "broken": of("pyproject.toml", PYPROJECT, "[tool.mypy]", "[tool.mypy"),
}

EXCUSED = frozenset({"mypy override", "per-file-ignores", "eslint rule off for some files"})
OF_CONFIG = {what: (files, Kind.EXCUSED if what in EXCUSED else Kind.LOOSENED) for what, files in CONFIG_BENT.items()}
BENT = {**JS_BENT, **OTHER_BENT, **OF_CONFIG}
FINE = {**JS_FINE, **OTHER_FINE, **CONFIG_FINE}


@pytest.mark.parametrize("what", BENT)
def test_bending_is_found(what):
    files, kind = BENT[what]
    assert kind in {each for _, each in found(files)}


@pytest.mark.parametrize("what", sorted(EXCUSED))
def test_what_holds_for_some_files_only_is_told_as_that_alone(what):
    assert {kind for _, kind in found(BENT[what][0])} == {Kind.EXCUSED}


@pytest.mark.parametrize("what", FINE)
def test_what_is_no_bending(what):
    assert found(FINE[what]) == set()


# -- what it says, and bounds -------------------------------------------------------------------------


def test_a_change_is_told_with_its_line():
    old = "def test_a():\n    assert f() == 1\n"
    new = "import pytest\n\n\n@pytest.mark.skip\ndef test_a():\n    assert f() == 1\n"
    changes = find_test_changes([Changed(path="test_a.py", old=old, new=new, existed=True, exists=True)])
    assert [str(change) for change in changes] == ["test_a.py modified", "test_a.py:4 skipped test_a: skip"]


def test_an_existing_test_that_is_another_is_told():
    changes = find_test_changes([Changed(path="test_a.py", old="X = 1\n", new="X = 2\n", existed=True, exists=True)])
    assert [change.kind for change in changes] == [Kind.MODIFIED]


def test_a_file_that_was_not_read_is_told_by_its_name():
    large = Changed(path="tests/test_a.py", existed=True, exists=True)
    gone = Changed(path="tests/test_b.py", existed=True)
    assert [(each.path, each.kind) for each in find_test_changes([gone, large])] == [
        ("tests/test_a.py", Kind.MODIFIED),
        ("tests/test_b.py", Kind.DELETED),
    ]


HOSTILE = {
    "deep parentheses": "x = " + "(" * 5_000 + ")" * 5_000,
    "deep minus": "x = " + "-" * 50_000 + "1",
    "deep brackets": "x = " + "[" * 50_000,
    "long sum": "x = " + "+".join(["1"] * 50_000),
    "long chain": "assert a" + ".b" * 20_000,
    "nul": "x = 1\0",
    "surrogates": "x = '\\ud800'\n# \ufffd\n",
    "null bytes in a name": "def test_a(): pass\n\x0c",
    "json": '{"a": ' * 5_000,
    "toml": "a.b.c.d = 1\n" * 2_000,
    "blank lines": "\n" * 400_000,
    "comments": "# x\n" * 100_000,
    "spaces": " " * 400_000,
    "words": "assert " * 60_000,
    "skips": "@pytest.mark.skip\ndef test_a(): pass\n" * 2_000,
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize(
    "path",
    [
        "tests/test_a.py",
        "conftest.py",
        "a.test.ts",
        "a_test.go",
        "a_spec.rb",
        "CalcTest.java",
        "pyproject.toml",
        "package.json",
        "tox.ini",
        "jest.config.js",
        ".eslintrc.yml",
        "Makefile",
    ],
)
@pytest.mark.timeout(90)
def test_no_file_can_make_it_fail_or_go_on_without_end(path, what):
    text = HOSTILE[what]
    for old, new in ((None, text), (text, None), ("X = 1\n", text), (text, "X = 1\n")):
        changed = Changed(path=path, old=old, new=new, existed=old is not None, exists=new is not None)
        assert len(find_test_changes([changed])) <= 200
