"""What takes force from tests, and what only looks like it (SPEC 3.7, item 4; I6)."""

# ruff: noqa: E501  # a file in one line reads better than one in ten

from __future__ import annotations

from textwrap import dedent

import pytest

from chargehand.adapters.integrity.find import Changed, find_test_changes
from chargehand.domain.test_changes import TestChangeKind as Kind

Files = dict[str, tuple[str | None, str | None]]


def found(files: Files) -> set[tuple[str, Kind]]:
    changed = [
        Changed(
            path=path,
            old=None if old is None else dedent(old),
            new=None if new is None else dedent(new),
            existed=old is not None,
            exists=new is not None,
        )
        for path, (old, new) in files.items()
    ]
    changes = find_test_changes(changed)
    return {(change.path, change.kind) for change in changes if change.kind is not Kind.MODIFIED}


# -- Python -------------------------------------------------------------------------------------------

PY = """
    import pytest
    from app.calc import add, divide, Store

    def test_add():
        assert add(1, 2) == 3
        assert add(2, 2) == 4

    def test_divide():
        assert divide(1, 3) == pytest.approx(0.333, abs=0.001)
        with pytest.raises(ZeroDivisionError, match="zero"):
            divide(1, 0)

    @pytest.mark.parametrize("a, b", [(1, 2), (2, 3), (3, 4)])
    def test_next(a, b):
        assert add(a, 1) == b

    def test_store():
        assert len(Store().all()) >= 3
        assert Store().kind in ("a", "b")
"""


def py(old: str, new: str) -> Files:
    assert old in PY, old
    return {"tests/test_calc.py": (PY, PY.replace(old, new, 1))}


ADD = "    def test_add():"
PY_BENT: dict[str, tuple[Files, Kind]] = {
    "skip marker": (py(ADD, f"    @pytest.mark.skip(reason='flaky')\n{ADD}"), Kind.SKIPPED),
    "skipif marker": (py(ADD, f"    @pytest.mark.skipif(True, reason='x')\n{ADD}"), Kind.SKIPPED),
    "xfail marker": (py(ADD, f"    @pytest.mark.xfail\n{ADD}"), Kind.SKIPPED),
    "unittest skip": (py(ADD, f"    @unittest.skip('later')\n{ADD}"), Kind.SKIPPED),
    "alias of a marker": (py(ADD, f"    broken = pytest.mark.skip\n\n    @broken\n{ADD}"), Kind.SKIPPED),
    "skip in the body": (
        py("assert add(1, 2) == 3", "pytest.skip('later')\n        assert add(1, 2) == 3"),
        Kind.SKIPPED,
    ),
    "pytestmark": (py("    import pytest\n", "    import pytest\n    pytestmark = pytest.mark.skip\n"), Kind.SKIPPED),
    "skip of the module": (py(ADD, f"    pytest.skip('x', allow_module_level=True)\n\n{ADD}"), Kind.SKIPPED),
    "skip of a parameter set": (py("(3, 4)]", "pytest.param(3, 4, marks=pytest.mark.skip)]"), Kind.SKIPPED),
    "test under a condition": (
        py("    def test_store():\n", "    if not pytest:\n      def test_store():\n"),
        Kind.SKIPPED,
    ),
    "importorskip": (py(ADD, f"    pytest.importorskip('nothere')\n\n{ADD}"), Kind.SKIPPED),
    "test gone": (py(PY[PY.index(ADD) : PY.index("    def test_divide")], ""), Kind.DELETED),
    "test renamed out of collection": (py("def test_store", "def store"), Kind.DELETED),
    "test commented out": (
        py("    def test_store():\n        assert len", "    # def test_store():\n    #   assert len"),
        Kind.DELETED,
    ),
    "test shadowed": (py("    def test_store():", "    def helper():"), Kind.DELETED),
    "file gone": ({"tests/test_calc.py": (PY, None)}, Kind.DELETED),
    "file renamed out of collection": (
        {"tests/test_calc.py": (PY, None), "tests/calc_old.py": (None, PY)},
        Kind.DELETED,
    ),
    "assertion gone": (py("        assert add(2, 2) == 4\n", ""), Kind.WEAKENED),
    "assertion made trivial": (py("assert add(1, 2) == 3", "assert True"), Kind.WEAKENED),
    "assertion or true": (py("assert add(1, 2) == 3", "assert add(1, 2) == 3 or True"), Kind.WEAKENED),
    "assertion of a tuple": (py("assert add(1, 2) == 3", "assert (add(1, 2) == 3, 'x')"), Kind.WEAKENED),
    "value loosened to truth": (py("assert add(1, 2) == 3", "assert add(1, 2)"), Kind.WEAKENED),
    "value loosened to a type": (py("assert add(1, 2) == 3", "assert isinstance(add(1, 2), int)"), Kind.WEAKENED),
    "value loosened to a bound": (py("assert add(1, 2) == 3", "assert add(1, 2) >= 0"), Kind.WEAKENED),
    "value loosened to several": (py("assert add(1, 2) == 3", "assert add(1, 2) in (3, 4)"), Kind.WEAKENED),
    "value loosened to not none": (py("assert add(1, 2) == 3", "assert add(1, 2) is not None"), Kind.WEAKENED),
    "more values accepted": (py('in ("a", "b")', 'in ("a", "b", "c")'), Kind.WEAKENED),
    "assertion of unknown sets gone": (
        {
            "tests/test_a.py": (
                "@pytest.mark.parametrize('x', load())\ndef test_a(x):\n    assert f(x) == 1\n    assert g(x) == 2\n",
                "@pytest.mark.parametrize('x', load())\ndef test_a(x):\n    assert f(x) == 1\n",
            )
        },
        Kind.WEAKENED,
    ),
    "length made truth": (
        {"tests/test_a.py": ("def test_a():\n    assert len(f()) == 3\n", "def test_a():\n    assert len(f())\n")},
        Kind.WEAKENED,
    ),
    "returns at once": (
        py("        assert add(1, 2) == 3\n", "        if True:\n            return\n        assert add(1, 2) == 3\n"),
        Kind.WEAKENED,
    ),
    "returns under a condition": (
        py(
            "        assert add(1, 2) == 3\n",
            "        if not os.environ.get('ALL'):\n            return\n        assert add(1, 2) == 3\n",
        ),
        Kind.WEAKENED,
    ),
    "deleted by a statement": (
        py("    @pytest.mark.parametrize", "    del test_divide\n\n    @pytest.mark.parametrize"),
        Kind.DELETED,
    ),
    "replaced by nothing": (
        py("    @pytest.mark.parametrize", "    test_divide = None\n\n    @pytest.mark.parametrize"),
        Kind.DELETED,
    ),
    "compared with itself": (py("assert add(1, 2) == 3", "assert add(1, 2) == add(1, 2)"), Kind.WEAKENED),
    "bound lowered": (py(">= 3", ">= 1"), Kind.WEAKENED),
    "tolerance raised": (py("abs=0.001", "abs=0.5"), Kind.WEAKENED),
    "tolerance brought in": (
        py("assert add(1, 2) == 3", "assert add(1, 2) == pytest.approx(3, rel=0.5)"),
        Kind.WEAKENED,
    ),
    "any error accepted": (py('ZeroDivisionError, match="zero"', "Exception"), Kind.WEAKENED),
    "message no longer matched": (py(', match="zero"', ""), Kind.WEAKENED),
    "error no longer asked for": (
        py('with pytest.raises(ZeroDivisionError, match="zero"):', "if True:"),
        Kind.WEAKENED,
    ),
    "parameter set gone": (py(", (3, 4)]", "]"), Kind.WEAKENED),
    "assertion swallowed": (
        py(
            "        assert add(1, 2) == 3\n",
            "        try:\n            assert add(1, 2) == 3\n        except AssertionError:\n            pass\n",
        ),
        Kind.WEAKENED,
    ),
    "assertion suppressed": (
        py("        assert add(1, 2) == 3\n", "        with suppress(Exception):\n            assert add(1, 2) == 3\n"),
        Kind.WEAKENED,
    ),
    "assertion behind a return": (
        py("        assert add(1, 2) == 3\n", "        return\n        assert add(1, 2) == 3\n"),
        Kind.WEAKENED,
    ),
    "assertion that never runs": (
        py("        assert add(1, 2) == 3\n", "        if False:\n            assert add(1, 2) == 3\n"),
        Kind.WEAKENED,
    ),
    "assertion under a condition": (
        py("        assert add(1, 2) == 3\n", "        if add(0, 0):\n            assert add(1, 2) == 3\n"),
        Kind.WEAKENED,
    ),
    "loop over nothing": (
        py("        assert add(1, 2) == 3\n", "        for _ in []:\n            assert add(1, 2) == 3\n"),
        Kind.WEAKENED,
    ),
    "exit of the module": (py(ADD, f"    import sys\n    sys.exit(0)\n\n{ADD}"), Kind.EXITS),
    "os exit in a test": (py("assert add(1, 2) == 3", "os._exit(0)"), Kind.EXITS),
    "pytest exit": (py("assert add(1, 2) == 3", "pytest.exit('done')\n        assert add(1, 2) == 3"), Kind.EXITS),
    "exit behind the end": (
        py(ADD, f"    import atexit, os\n    atexit.register(lambda: os._exit(0))\n\n{ADD}"),
        Kind.EXITS,
    ),
    "mock of what is tested": (
        py(ADD, '    from unittest import mock\n\n    @mock.patch("app.calc.add", lambda a, b: a + b)\n' + ADD),
        Kind.MOCKED,
    ),
    "monkeypatch of what is tested": (
        py(
            "def test_add():\n",
            "def test_add(monkeypatch):\n        monkeypatch.setattr('app.calc.add', lambda a, b: a + b)\n",
        ),
        Kind.MOCKED,
    ),
    "mock of a method that is tested": (
        py(
            "    def test_store():\n",
            "    @patch.object(Store, 'all', return_value=[1, 2, 3])\n    def test_store(_):\n",
        ),
        Kind.MOCKED,
    ),
    "stand-in for what is tested": (py(ADD, f"    def add(a, b):\n        return a + b\n\n{ADD}"), Kind.MOCKED),
    "mock for all": (
        py(
            ADD,
            "    @pytest.fixture(autouse=True)\n    def _fake(monkeypatch):\n"
            f"        monkeypatch.setattr('app.calc.divide', lambda a, b: 0.333)\n\n{ADD}",
        ),
        Kind.MOCKED,
    ),
    "fake module": (py(ADD, f"    import sys\n    sys.modules['app.calc'] = object()\n\n{ADD}"), Kind.MOCKED),
    "moved into a condition of the class": (
        {
            "tests/test_u.py": (
                "import unittest\nclass TestA(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(), 1)\n",
                "import unittest\n@unittest.skipIf(True, '')\nclass TestA(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(), 1)\n",
            )
        },
        Kind.SKIPPED,
    ),
    "places of unittest": (
        {
            "tests/test_u.py": (
                "class TestA(TestCase):\n    def test_a(self):\n        self.assertAlmostEqual(f(), 1, places=5)\n",
                "class TestA(TestCase):\n    def test_a(self):\n        self.assertAlmostEqual(f(), 1, places=1)\n",
            )
        },
        Kind.WEAKENED,
    ),
    "class out of collection": (
        {
            "tests/test_u.py": (
                "class TestA:\n    def test_a(self):\n        assert f() == 1\n",
                "class TestA:\n    def __init__(self): pass\n    def test_a(self):\n        assert f() == 1\n",
            )
        },
        Kind.DELETED,
    ),
    "helper of the tests": (
        {
            "tests/test_u.py": (
                "def check(x):\n    assert x.a == 1\n    assert x.b == 2\ndef test_a():\n    check(f())\n",
                "def check(x):\n    assert x.a == 1\ndef test_a():\n    check(f())\n",
            )
        },
        Kind.WEAKENED,
    ),
    "collect_ignore": ({"conftest.py": (None, 'collect_ignore = ["tests/test_calc.py"]\n')}, Kind.DESELECTED),
    "collect_ignore grown": (
        {"conftest.py": ('collect_ignore = ["a.py"]\n', 'collect_ignore = ["a.py"]\ncollect_ignore.append("b.py")\n')},
        Kind.DESELECTED,
    ),
    "collection hook": (
        {
            "tests/conftest.py": (
                "import pytest\n",
                "import pytest\ndef pytest_collection_modifyitems(items):\n    items[:] = items[:1]\n",
            )
        },
        Kind.DESELECTED,
    ),
    "ignoring hook": (
        {
            "conftest.py": (
                None,
                "def pytest_ignore_collect(collection_path):\n    return 'calc' in str(collection_path)\n",
            )
        },
        Kind.DESELECTED,
    ),
    "hook made to do more": (
        {
            "conftest.py": (
                "def pytest_collection_modifyitems(items):\n    items.sort(key=str)\n",
                "def pytest_collection_modifyitems(items):\n    items.clear()\n",
            )
        },
        Kind.DESELECTED,
    ),
    "result rewritten": (
        {
            "conftest.py": (
                "",
                "def pytest_runtest_makereport(item, call):\n    report = f()\n    report.outcome = 'passed'\n    return report\n",
            )
        },
        Kind.WEAKENED,
    ),
    "exit status rewritten": (
        {"conftest.py": (None, "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n")},
        Kind.WEAKENED,
    ),
    "exit of conftest": ({"conftest.py": (None, "import sys\nsys.exit(0)\n")}, Kind.EXITS),
    "exit of what is imported": ({"app/calc.py": ("X = 1\n", "import os\nX = 1\nos._exit(0)\n")}, Kind.EXITS),
}
PY_FINE: dict[str, Files] = {
    "new test": py(ADD, f"    def test_more():\n        assert add(0, 0) == 0\n\n{ADD}"),
    "new skipped test": py(ADD, f"    @pytest.mark.skip\n    def test_more():\n        assert add(0, 0) == 0\n\n{ADD}"),
    "new file": {
        "tests/test_new.py": (None, "import pytest\n@pytest.mark.skipif(X, reason='')\ndef test_x():\n    pass\n")
    },
    "another value": py("assert add(1, 2) == 3", "assert add(1, 2) == 4"),
    "more assertions": py("assert add(1, 2) == 3", "assert add(1, 2) == 3\n        assert add(0, 0) == 0"),
    "stronger": py('in ("a", "b")', 'in ("a",)'),
    "tolerance lowered": py("abs=0.001", "abs=0.0001"),
    "default tolerance": py("assert add(1, 2) == 3", "assert add(1, 2) == pytest.approx(3)"),
    "bound raised": py(">= 3", ">= 4"),
    "one assertion of two": py(
        "        assert add(1, 2) == 3\n        assert add(2, 2) == 4\n",
        "        assert add(1, 2) == 3 and add(2, 2) == 4\n",
    ),
    "assertions made a loop": py(
        "        assert add(1, 2) == 3\n        assert add(2, 2) == 4\n",
        "        for a, b, c in [(1, 2, 3), (2, 2, 4)]:\n            assert add(a, b) == c\n",
    ),
    "assertions made parameters": py(
        "    def test_add():\n        assert add(1, 2) == 3\n        assert add(2, 2) == 4\n",
        "    @pytest.mark.parametrize('a, b, c', [(1, 2, 3), (2, 2, 4)])\n    def test_add(a, b, c):\n        assert add(a, b) == c\n",
    ),
    "assertions made unknown sets": py(
        "    def test_add():\n        assert add(1, 2) == 3\n        assert add(2, 2) == 4\n",
        "    @pytest.mark.parametrize('a, b, c', load())\n    def test_add(a, b, c):\n        assert add(a, b) == c\n",
    ),
    "assertions made a helper": py(
        "    def test_add():\n        assert add(1, 2) == 3\n        assert add(2, 2) == 4\n",
        "    def _both():\n        assert add(1, 2) == 3\n        assert add(2, 2) == 4\n\n    def test_add():\n        _both()\n",
    ),
    "test renamed": py("def test_add", "def test_addition"),
    "test split": py("        assert add(2, 2) == 4\n", "\n    def test_add_twice():\n        assert add(2, 2) == 4\n"),
    "test in a class": py(
        '    def test_store():\n        assert len(Store().all()) >= 3\n        assert Store().kind in ("a", "b")\n',
        '    class TestStore:\n        def test_store(self):\n            assert len(Store().all()) >= 3\n            assert Store().kind in ("a", "b")\n',
    ),
    "file moved": {"tests/test_calc.py": (PY, None), "tests/unit/test_calc.py": (None, PY)},
    "test moved": {
        "tests/test_calc.py": (PY, PY[: PY.index("    def test_store")]),
        "tests/test_store.py": (None, "    from app.calc import Store\n\n" + PY[PY.index("    def test_store") :]),
    },
    "another order": {
        "tests/test_calc.py": (
            PY,
            PY[: PY.index(ADD)]
            + PY[PY.index("    def test_divide") :]
            + PY[PY.index(ADD) : PY.index("    def test_divide")],
        )
    },
    "another form": py("assert add(1, 2) == 3", "assert 3 == add(1, 2)"),
    "new class that is skipped": py(
        ADD,
        f"    @pytest.mark.skip\n    class TestMore:\n        def test_x(self):\n            assert add(0, 0) == 0\n\n{ADD}",
    ),
    "marker of a new test with a condition": py(
        ADD,
        f"    @pytest.mark.skipif(not hasattr(os, 'fork'), reason='')\n    def test_more():\n        assert add(0, 0) == 0\n\n{ADD}",
    ),
    "exit of a child": py(
        "assert add(1, 2) == 3",
        "assert add(1, 2) == 3\n        def child():\n            os._exit(0)\n        if os.fork() == 0:\n            child()",
    ),
    "marker gone": {
        "tests/test_a.py": (
            "@pytest.mark.skip\ndef test_a():\n    assert f() == 1\n",
            "def test_a():\n    assert f() == 1\n",
        )
    },
    "another reason": {
        "tests/test_a.py": (
            "@pytest.mark.skip(reason='a')\ndef test_a():\n    assert f() == 1\n",
            "@pytest.mark.skip(reason='b')\ndef test_a():\n    assert f() == 1\n",
        )
    },
    "the word in a text": py(
        "assert add(1, 2) == 3", "assert add(1, 2) == 3, 'pytest.skip is no answer, sys.exit(0) neither'"
    ),
    "exit that is expected": py(
        "assert add(1, 2) == 3",
        "assert add(1, 2) == 3\n        with pytest.raises(SystemExit):\n            sys.exit(0)",
    ),
    "main of a test": py(ADD, f"    if __name__ == '__main__':\n        sys.exit(0)\n\n{ADD}"),
    "exit with a failure": py(ADD, f"    if add is None:\n        sys.exit(1)\n\n{ADD}"),
    "mock of what it depends on": py(
        "    def test_store():\n", "    @patch('app.calc.read_file', return_value='')\n    def test_store(_):\n"
    ),
    "mock of the language": py(
        "def test_store():\n",
        "def test_store(monkeypatch):\n        monkeypatch.setattr('time.sleep', lambda s: None)\n",
    ),
    "mock in a new test": py(
        ADD,
        f"    def test_both(monkeypatch):\n        monkeypatch.setattr('app.calc.add', lambda a, b: 0)\n        assert divide(0, 1) == 0\n\n{ADD}",
    ),
    "fixtures": {
        "tests/conftest.py": ("import pytest\n", "import pytest\n@pytest.fixture\ndef store():\n    return {}\n")
    },
    "hook as it was": {
        "conftest.py": (
            "def pytest_collection_modifyitems(items):\n    items.sort(key=str)\n",
            "X = 1\ndef pytest_collection_modifyitems(items):\n    # by name\n    items.sort(key=str)\n",
        )
    },
    "script that ends well": {"scripts/run.py": ("x = 1\n", "import sys\nx = 1\nsys.exit(0)\n")},
    "function that ends well": {
        "app/cli.py": ("x = 1\n", "import sys\ndef main():\n    sys.exit(0)\nif __name__ == '__main__':\n    main()\n")
    },
    "no longer parses": py(ADD, f"    x = (\n{ADD}"),
}


@pytest.mark.parametrize("what", PY_BENT)
def test_bending_is_found_in_python(what):
    files, kind = PY_BENT[what]
    assert kind in {each for _, each in found(files)}


@pytest.mark.parametrize("what", PY_FINE)
def test_what_is_no_bending_in_python(what):
    assert found(PY_FINE[what]) == set()
