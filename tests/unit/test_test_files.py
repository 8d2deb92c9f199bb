"""Which files are tests, by their names (SPEC 3.7, item 4)."""

from __future__ import annotations

import pytest

from chargehand.domain.test_changes import is_test


@pytest.mark.parametrize(
    "path",
    [
        "test_app.py",
        "src/app/app_test.py",
        "conftest.py",
        "tests/conftest.py",
        "tests/helpers/build.py",
        "tests.py",
        "app/tests.py",
        "src/sum.test.js",
        "src/sum.spec.tsx",
        "src/sum.test.mts",
        "src/sum-test.js",
        "src/__tests__/sum.ts",
        "__tests__/__snapshots__/sum.js.snap",
        "test/sum.js",
        "e2e/login.cy.ts",
        "calc_test.go",
        "tests/cli.rs",
        "src/parser/tests.rs",
        "src/test/java/com/example/CalcTest.java",
        "app/CalcTests.cs",
        "app/CalcIT.java",
        "app/TestCalc.java",
        "spec/calc_spec.rb",
        "test/calc_test.rb",
        "test/calc_test.exs",
        "features/login.feature",
        "checks/all.bats",
        "tests/CalcTest.php",
        "Tests/Calc.swift",
    ],
)
def test_these_are(path):
    assert is_test(path)


@pytest.mark.parametrize(
    "path",
    [
        "src/app.py",
        "src/latest.py",
        "src/contest.py",
        "src/attest.js",
        "src/testimony.ts",
        "src/protest.go",
        "docs/test.md",
        "tests/data/keys.txt",
        "tests/README.md",
        "tests/fixtures/input.json",
        "testdata/x.txt",
        "src/Contest.java",
        "src/Latest.cs",
        "pyproject.toml",
        "test",
        "spec/notes",
        "src/inspect.rb",
        "tests/.gitignore",
    ],
)
def test_these_are_not(path):
    assert not is_test(path)
