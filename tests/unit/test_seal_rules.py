"""What is never sealed, and which ignored files a pattern means."""

from __future__ import annotations

import pytest

from chargehand.domain.seal_rules import counts, dropping_patterns, is_dropping, literals, named_paths, samples


@pytest.mark.parametrize(
    "path",
    ["__pycache__/a.pyc", "a/node_modules/b", ".venv/bin/python", "src/x.egg-info/PKG-INFO", "m.pyc", ".DS_Store"],
)
def test_droppings(path):
    assert is_dropping(path)
    assert not counts([], path)
    assert not counts(["**", "src/**"], path)
    assert counts([path], path)


@pytest.mark.parametrize("path", ["src/app.py", "venv/x", "build/out.o", "docs/__pycache__.md", "a.pycx"])
def test_what_is_no_dropping(path):
    assert not is_dropping(path)
    assert counts([], path)


def test_a_pattern_that_names_droppings_takes_them():
    assert counts(["vendor/node_modules/**"], "vendor/node_modules/a/b.js")
    assert not counts(["vendor/node_modules/**"], "node_modules/a/b.js")


def test_literals_are_listed_by_their_spelling():
    declared = ["a.py", "src/", "x*.py", "odd\\*name", "../out", ".git/config", "/abs", "app/[id].tsx"]
    assert literals(declared) == {"a.py": "a.py", "src": "src", "odd\\*name": "odd*name"}
    assert named_paths(declared) == ("a.py", "src", "odd*name", "app/[id].tsx")


@pytest.mark.parametrize(
    ("pattern", "sample", "pathspec"),
    [
        ("src/**", "src/x", ":(top,glob)src/**"),
        ("*.log", "x.log", ":(top,glob)**/*.log"),
        ("dist/*.js", "dist/x.js", ":(top,glob)dist/*.js"),
        ("a/**/b?.txt", "a/x/bx.txt", ":(top,glob)a/**/b?.txt"),
        ("app/[id]/*.tsx", "app/i/x.tsx", ":(top,glob)app/*/*.tsx"),
        ("[!a]b.py", "ab.py", ":(top,glob)**/*"),
        ("build*/", "buildx/x", ":(top,glob)**/build*"),
    ],
)
def test_samples_fit_their_pattern(pattern, sample, pathspec):
    assert samples([pattern], ()) == {sample: pathspec}


def test_literal_folders_have_samples_and_files_have_none():
    assert samples(["src", "a.py", "dist/"], ["src", "dist"]) == {
        "src/x": ":(top,literal)src",
        "dist/x": ":(top,literal)dist",
    }
    assert samples(["../x*", "!a*"], ()) == {}


def test_droppings_as_an_exclude_file():
    patterns = dropping_patterns()
    assert "node_modules" in patterns
    assert "*.pyc" in patterns
