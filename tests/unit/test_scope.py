"""Patterns of scopes: what is refused, what matches, what overlaps."""

from __future__ import annotations

import pytest

from chargehand.domain import scope


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("a\x07", "control character"),
        ("a\x7f", "control character"),
        ("a\ud800", "control character"),
        (" a", "space"),
        ("a ", "space"),
        ("/etc/passwd", "absolute"),
        ("~/x", "absolute"),
        ("C:\\x", "drive letter"),
        ("c:/x", "drive letter"),
        ("../x", "'..'"),
        ("a/../b", "'..'"),
        ("a/.\\./b", "'..'"),
        (".git/config", ".git"),
        ("sub/.GIT", ".git"),
        ("!a", "exceptions"),
        ("#a", "comment"),
        ("a//b", "empty or '.'"),
        ("./a", "empty or '.'"),
        ("a/.", "empty or '.'"),
        ("a\\b", "backslash"),
        ("a\\", "backslash"),
    ],
)
def test_unsafe_paths_are_refused(pattern: str, said: str) -> None:
    problem = scope.validate(pattern)
    assert problem is not None
    assert said in problem
    assert problem.endswith(".")
    assert not scope.matches((pattern,), pattern)


@pytest.mark.parametrize(
    "pattern",
    ["a", "a/", "src/**/*.py", ".github/x.yml", "a b", "\\#a", "\\!a", "a\\*", "[a]", "..a/b..", ".gitignore"],
)
def test_other_paths_are_fine(pattern: str) -> None:
    assert scope.validate(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [("a/b.py", True), ("a/", True), ("a\\*b", True), ("a*", False), ("a?", False), ("a[b]", False), ("\\\\*", False)],
)
def test_a_literal_has_no_wildcard_that_is_not_escaped(pattern: str, literal: bool) -> None:
    assert scope.is_literal(pattern) is literal


def test_the_path_of_a_literal_has_its_escapes_resolved() -> None:
    assert scope.literal_path("a\\*b/\\#c/") == "a*b/#c"


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "src/a.pyc", False),
        ("src", "src/deep/a.py", True),
        ("src/", "src/a.py", True),
        ("src/", "src", False),
        ("SRC", "src/a.py", False),
        ("README.md", "README.md", True),
        ("README.md", "docs/README.md", False),
        ("**/README.md", "docs/README.md", True),
        ("*.py", "a/b.py", True),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/sub/a.py", False),
        ("src/**", "src/a/b", True),
        ("src/**/b", "src/b", True),
        ("a?c", "abc", True),
        ("a[bc]", "ab", True),
        ("a[!b]", "ab", False),
        ("app/[id]/page.tsx", "app/[id]/page.tsx", True),
        ("app/[[...slug]]/page.tsx", "app/[[...slug]]/page.tsx", True),
        ("v[9-0]", "v[9-0]", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("a[", "a[", True),
    ],
)
def test_matching(pattern: str, path: str, expected: bool) -> None:
    assert scope.matches((pattern,), path) is expected


def test_unmatched_keeps_the_order() -> None:
    assert scope.unmatched(("src/**", "a"), ("z", "src/x", "a", "b")) == ("z", "b")
    assert scope.unmatched((), ("z",)) == ("z",)


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "src/b.py", False),
        ("src", "src/a.py", True),
        ("srcs", "src/a.py", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/a.js", False),
        ("src/*.py", "src/*.js", False),
        ("src/a*.py", "src/*b.py", True),
        ("src/**/a", "src/x/y/a", True),
        ("src/**/a", "lib/a", False),
        ("*.py", "src/a.js/b.py", True),
        ("**/*.md", "src/a.py", False),
        ("*.md", "src/", True),
        ("**/*.md", "docs/a.md", True),
        ("src/a.py", "src/a.py/", True),
        ("src/**", "src/a.py", True),
        ("a/?", "a/bc", False),
        ("a/?", "a/b", True),
        ("a/[ab]", "a/[cd]", False),
        ("a/[ab]x", "a/bx", True),
        ("a/[ab]", "a/[ab]", True),
        ("a/[!b]", "a/b", True),
        ("a/x*", "a/\\*x", False),
        ("a/x\\?*", "a/x?y", True),
        ("**", "anything", True),
        ("src/a*", "src/b*", False),
        ("src/*a", "src/a", True),
        ("src/a", "src/*a", True),
        ("README.md", "docs/README.md", False),
    ],
)
def test_overlap(one: str, two: str, expected: bool) -> None:
    assert scope.overlap(one, two) is expected
    assert scope.overlap(two, one) is expected


def test_leases_overlap_when_any_two_patterns_do() -> None:
    assert scope.overlaps(("a", "b/*.py"), ("c", "b/x.py"))
    assert not scope.overlaps(("a",), ("b", "c"))
    assert not scope.overlaps((), ("b",))


def test_meetings_name_the_patterns_and_who_holds_them() -> None:
    found = scope.meetings([["a.py", "b.py"], ["a.py", "a.py"], ["b*"], ["c/d.py"], ["c/"]])
    told = {(m.one, m.two): (m.ones, m.twos) for m in found.found}
    assert told == {
        ("a.py", "a.py"): ((0, 1), (0, 1)),
        ("b*", "b.py"): ((2,), (0,)),
        ("b*", "c/"): ((2,), (4,)),
        ("c/", "c/d.py"): ((4,), (3,)),
    }


def test_meetings_within_one_lease_are_none() -> None:
    assert scope.meetings([["src", "src/a.py"], ["x"]]).found == ()
    assert len(scope.meetings([["src", "src/a.py"], ["src", "src/a.py"]]).found) == 3


def test_meetings_give_up_after_too_many_comparisons() -> None:
    leases = [[f"**/x{n}"] for n in range(30)]
    assert not scope.meetings(leases, limit=50).complete
    assert scope.meetings(leases, limit=1000).complete


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("todo.add(title: str) -> Todo", "todo.add"),
        ("Store: a mapping", "Store"),
        ("core::Store", "core::Store"),
        ("LIMIT = 5", "LIMIT"),
        ("GET /users", "GET /users"),
        ("(odd)", "(odd)"),
    ],
)
def test_an_interface_is_known_by_its_name(text: str, name: str) -> None:
    assert scope.interface_name(text) == name


def test_lock_files_go_with_their_dependency_file_here_and_above() -> None:
    locks = scope.lock_files_for(("packages/web/package.json", "src/x.py"))
    assert {"packages/web/yarn.lock", "packages/yarn.lock", "yarn.lock", "package-lock.json"} <= set(locks)
    assert scope.lock_files_for(("Cargo.toml",)) == ("Cargo.lock",)
    assert scope.lock_files_for(("src/a.py",)) == ()
