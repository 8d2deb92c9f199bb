"""The table of routes (guard_routes.txt): addresses, publishing, indexes, links, databases, forms of variables.

Nothing in the table is ever executed; it is read, and classified.
"""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.adapters.guarding.classify import classify
from chargehand.adapters.guarding.place import Place
from chargehand.adapters.guarding.verdict import Kind
from tests.unit.test_guard_cases import PLACE, SANDBOXED
from tests.unit.test_guard_shapes import UNITS


def read_rows() -> list[tuple[str, str]]:
    rows = []
    for line in Path(__file__).with_name("guard_routes.txt").read_text(encoding="utf-8").splitlines():
        if line[:2] in {"A ", "B ", "H "}:
            text = re.sub(r"(?<!\\)\\([nt])", lambda match: {"n": "\n", "t": "\t"}[match[1]], line[2:])
            rows.append((line[0], text.replace("\\\\n", "\\n")))
    return rows


ROWS = read_rows()


@pytest.mark.parametrize(("letter", "command"), ROWS, ids=[command for _, command in ROWS])
def test_where_it_is_asked_about(letter: str, command: str) -> None:
    """I8, I9, SPEC 7.2: what leaves the workspace is asked about in a sandbox, too; everyday commands never are."""
    told = classify(command, PLACE)
    assert (told.kind is not Kind.HARMLESS) == (letter != "H"), told
    held = classify(command, SANDBOXED)
    assert (held.kind is not Kind.HARMLESS) == (letter == "B"), held


def test_no_row_is_there_twice() -> None:
    assert len({command for _, command in ROWS}) == len(ROWS)
    assert sum(letter == "H" for letter, _ in ROWS) > 150


def project(tmp_path: Path) -> Place:
    (tmp_path / "node_modules/.bin").mkdir(parents=True)
    (tmp_path / "node_modules/.bin/eslint").write_text("#!/bin/sh\n")
    (tmp_path / "package.json").write_text(
        json.dumps({"dependencies": {"vite": "5"}, "devDependencies": {"rimraf": "6"}})
    )
    root = str(tmp_path)
    return replace(PLACE, cwd=root, inside=(root,), real=True)


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        ("npx vite build", False),
        ("npx eslint src", False),
        ("npm exec -- eslint src", False),
        ("npm exec eslint", False),
        ("npx -y vite", False),
        ("cd src && npx eslint .", False),
        ("npx left-pad", True),
        ("npx vite@9.9.9", True),
        ("npx -p evil vite", True),
        ("npx github:evil/vite", True),
        ("npm create vite", True),
        ("npx rimraf /outside", True),
        ("npx rimraf dist", True),
        ("npx ../eslint", True),
        ("""echo '{"dependencies": {"evil": "1"}}' > package.json; npx evil""", True),
    ],
)
def test_tools_of_the_workspace_are_not_fetched(command: str, asked: bool, tmp_path: Path) -> None:
    """SPEC 7.2: what the project lists or has installed is no package that nobody named."""
    assert (classify(command, project(tmp_path)).kind is not Kind.HARMLESS) == asked


@pytest.mark.parametrize(
    "text", ["[]", "{", "[" * 100_000, '{"dependencies": ["vite"]}', "\0", '{"dependencies": null}']
)
def test_a_manifest_that_is_none_lists_nothing(text: str, tmp_path: Path) -> None:
    place = project(tmp_path)
    (tmp_path / "package.json").write_text(text)
    assert classify("npx vite", place).kind is Kind.DANGEROUS
    assert classify("npx eslint", place).kind is Kind.HARMLESS


def test_a_manifest_is_read_as_it_is_now_and_no_further_than_a_bound(tmp_path: Path) -> None:
    """An agent writes it: what is no file is not opened, and what is huge is not read."""
    place, manifest = project(tmp_path), tmp_path / "package.json"
    assert classify("npx vite", place).kind is Kind.HARMLESS
    manifest.write_text(json.dumps({"dependencies": {"vite": "5"}, "x": "y" * 600_000}))
    assert classify("npx vite", place).kind is Kind.DANGEROUS
    manifest.unlink()
    os.mkfifo(manifest)
    assert classify("npx vite", place).kind is Kind.DANGEROUS


@pytest.mark.parametrize(
    "head",
    [
        *(
            "wait-on '",
            "psql -c '",
            "mongosh --eval '",
            "mvn '",
            "rake '",
            "npm pkg set '",
            "envsubst '",
            "R -e '",
            "goose '",
        ),
        *("echo '", "make '", "alembic '", "kubectl get '", "python -m x '", "go env -w '", "rails '", "redis-cli '"),
    ],
)
def test_words_made_to_be_slow_are_not(head: str) -> None:
    """Nearly linear time, whatever stands in the words."""
    behind = "' > package.json; npm i" if head.startswith("echo") else "'"
    more = (
        "a:",
        "a.",
        "a=",
        "a:/",
        "://",
        "x y ",
        "db:",
        "- ",
        "drop ",
        "alter table ",
        "delete from x ",
        "$a",
        "@",
        "npm:",
    )
    for unit in (*UNITS[::3], *more):
        text = head + unit.replace("'", '"') * ((8100 - len(head)) // len(unit)) + behind
        began = time.process_time()
        classify(text, PLACE)
        assert time.process_time() - began < 3.0, unit
