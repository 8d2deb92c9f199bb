"""Which added lines look unfinished, and which only seem to."""

from __future__ import annotations

import pytest

from chargehand.domain.placeholders import HINT, unfinished

MARK = "todo".upper()
FIX = "fixme".upper()


def lines(path: str, text: str, before: str = "") -> list[int]:
    return [int(finding.split(":")[1]) for finding in unfinished(path, text, before)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", f"x = 1  # {MARK}: later\n"),
        ("a.py", f"# {FIX} this\n"),
        ("a.py", "def f():\n    raise NotImplementedError\n"),
        ("a.py", "def f():\n    raise NotImplementedError('soon')\n"),
        ("a.py", "def f(): pass\n"),
        ("a.py", "async def f():\n    '''Says.'''\n    ...\n"),
        ("a.py", "class A:\n    def f(self):\n        pass\n"),
        ("a.py", f"def f(:  # {MARK}\n"),
        ("tests/test_a.py", "def test_it():\n    pass\n"),
        ("a.ts", f"const a = 1; // {MARK} later\n"),
        ("a.ts", "throw new Error('Not implemented');\n"),
        ("a.ts", "throw new NotImplementedError();\n"),
        ("a.c", f" * {FIX}: leak\n"),
        ("a.rs", "fn f() { todo!() }\n"),
        ("a.rs", 'fn f() { unimplemented!("x") }\n'),
        ("a.go", 'panic("not yet implemented")\n'),
        ("a.cs", "throw new NotImplementedException();\n"),
        ("a.html", f"<!-- {MARK} -->\n"),
        ("a.sql", f"-- {MARK}\n"),
        ("README.md", f"- {MARK}: write this\n"),
    ],
)
def test_unfinished_lines_are_found(path, text):
    assert unfinished(path, text), text
    assert HINT.search(text.encode())


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.py", f'class Status:\n    {MARK} = "todo"\n'),
        ("a.py", f'x = "# {MARK}"\n'),
        ("a.py", "try:\n    f()\nexcept NotImplementedError:\n    g()\n"),
        ("a.py", "class A(Protocol):\n    def f(self): ...\n"),
        ("a.py", "class A(typing.Protocol[T]):\n    def f(self): ...\n"),
        ("a.py", "@overload\ndef f(x: int) -> int: ...\n"),
        ("a.py", "@abc.abstractmethod\ndef f(self):\n    raise NotImplementedError\n"),
        ("a.py", "@abstractmethod\ndef f(self):\n    pass\n"),
        ("a.py", "def f():\n    '''Only says.'''\n"),
        ("a.py", "class E(Exception):\n    pass\n"),
        ("a.py", "class A:\n    def __exit__(self, *a):\n        pass\n"),
        ("a.py", "def _no_op(*_):\n    pass\n"),
        ("tests/test_a.py", "class Fake:\n    def close(self):\n        pass\n"),
        ("a.py", "def f():\n    return NotImplemented\n"),
        ("a.ts", f"enum State {{ {MARK} = 'todo' }}\n"),
        ("a.ts", f"const s = '// {MARK}';\n"),
        ("README.md", f"# {MARK} API\n"),
        ("README.md", "Not implemented: teleportation.\n"),
        ("a.py", "x = 1\n"),
    ],
)
def test_what_only_seems_unfinished_is_left_alone(path, text):
    assert unfinished(path, text) == ()


def test_only_new_lines_count():
    before = f"# {MARK} one\nx = 1\n"
    assert lines("a.py", before, before) == []
    assert lines("a.py", f"x = 1\n# {MARK} one\n", before) == []
    assert lines("a.py", before + f"# {MARK} two\n", before) == [3]


def test_a_finding_names_place_and_text_and_there_are_not_too_many():
    assert unfinished("a/b.py", f"\n  # {MARK}  x \n") == (f"a/b.py:2: # {MARK}  x",)
    many = unfinished("b.py", "".join(f"# {MARK} {n} {'y' * 500}\n" for n in range(200)))
    assert len(many) == 50
    assert all(len(finding) < 200 for finding in many)


def test_deeply_nested_or_broken_text_is_no_error():
    assert unfinished("a.py", "(" * 5000) == ()
    assert unfinished("a.py", "\0") == ()
    assert unfinished("a.py", f"'''\n# {MARK}\n") != ()
