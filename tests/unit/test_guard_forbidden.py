"""Commands that an agent may not run, whoever says yes: they, and what else runs the same tool, script or task."""

from __future__ import annotations

import pytest

from chargehand.adapters.guarding.calls import Ruling, read_call, rule
from chargehand.adapters.guarding.classify import classify, forbidding
from chargehand.adapters.guarding.footprints import Footprint, footprint
from chargehand.adapters.guarding.place import Place
from chargehand.domain.plan import Command

HERE = Place(cwd="/w", inside=("/w",), sandboxed=True)


def command(text: str) -> Command:
    return Command(argv=tuple(text.split()))


def place(*commands: str) -> Place:
    return forbidding(HERE, [command(text) for text in commands])


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def is_forbidden(text: str, where: Place) -> bool:
    return any(danger.rule == "forbidden" for danger in classify(text, where).reasons)


CASES = (
    (
        "npm run build; npm test",
        """
        npm test
        npm t
        npm run test
        cd a && npm test -- --watch
        yarn test
        pnpm -r test:unit
        npm run-script build
        yarn build
        timeout 5 npm test
        sh -c 'npm test'
        npm --prefix sub test
        (npm test) | tail -5
        CI=1 npm test
        xargs npm test < x
        bash -lc 'npm test'
        echo $(npm test)
        yarn workspace a test
        npm -w a run build
        npx cross-env A=1 npm test
        """,
        """
        npm run lint
        npm ci
        node --check a.js
        echo npm test
        git commit -m 'npm test'
        yarn
        npm run
        grep -r 'npm test' .
        test -f a
        npx prettier -w a.js
        cat package.json
        npm install test
        """,
    ),
    (
        "python -m build; python3 -m pytest -q",
        """
        pytest
        pytest tests/x.py
        python3.11 -m pytest
        uv run pytest -x
        poetry run pytest
        py.test
        uv run --with x pytest
        env A=1 python -m pytest
        coverage run -m pytest
        python -m build --wheel
        /usr/bin/pytest
        .venv/bin/pytest -q
        .venv/bin/python -m pytest
        watch pytest
        """,
        """
        python -m py_compile src/x.py
        python -m compileall src
        python x.py
        pytest --version
        ruff check .
        python -c 'import ast'
        which pytest
        pip install pytest
        uv run ruff check
        python
        """,
    ),
    (
        "make test; ./build.sh all",
        """
        make
        make test
        make -C sub test
        make -j4 lint test
        ./build.sh
        bash build.sh
        make test-unit
        sh ./build.sh all
        cd sub && make test
        cd sub && ../build.sh
        """,
        """
        make lint
        make fmt
        bash other.sh
        bash -n build.sh
        cat build.sh
        chmod +x build.sh
        make clean
        ./build.sh clean
        cd sub && ./build.sh
        """,
    ),
    (
        "cargo build; cargo test",
        """
        cargo test --lib
        cargo +nightly test
        cargo check
        cargo t
        cargo nextest run
        cargo run
        """,
        """
        cargo fmt
        cargo --version
        rustfmt x.rs
        cargo metadata
        cargo
        """,
    ),
    (
        "mvn -B verify; npx jest",
        """
        mvn test
        ./mvnw package
        jest
        yarn jest
        npx --no-install jest a
        node_modules/.bin/jest
        pnpm exec jest
        """,
        """
        mvn --version
        javac -version
        npx
        """,
    ),
    (
        "cmake -S . -B build; ninja; true",
        """
        cmake ..
        cd build && ninja
        ninja all
        true
        """,
        """
        mkdir -p build
        cmake --build .
        ninja clean
        foo || true
        """,
    ),
    (
        "python3 -m compileall -q src; node --test",
        """
        python3 -m compileall -q src
        cd a; python3 -m compileall -q src
        node --test tests/
        """,
        """
        python3 -m compileall -q src/a.py
        node --check src/a.js
        node x.js
        ruby -c x.rb
        php -l x.php
        """,
    ),
    (
        "hatch run test; deno test; python manage.py test",
        """
        hatch run test:cov
        deno test a.ts
        python3 ./manage.py test app
        """,
        """
        test -f x
        hatch run lint
        deno fmt
        python manage.py migrate
        bundle exec
        deno run a.ts
        """,
    ),
)


@pytest.mark.parametrize(("commands", "refused", "allowed"), CASES)
def test_what_runs_the_same_is_forbidden_and_nothing_else(commands: str, refused: str, allowed: str):
    """A role that may neither build nor test may still parse, format and look at things."""
    where = place(*commands.split("; "))
    assert [text for text in lines(refused) if not is_forbidden(text, where)] == []
    assert [text for text in lines(allowed) if is_forbidden(text, where)] == []


def test_a_text_for_a_shell_is_forbidden_with_its_parts():
    where = forbidding(HERE, [Command(argv=("mkdir -p out && cmake ..",), shell=True), command("sh -c x")])
    assert is_forbidden("cmake -S .", where)
    assert is_forbidden("sh  -c x", where)
    assert not is_forbidden("mkdir -p out", where)
    own = forbidding(HERE, [Command(argv=("sh", "-c", "test -f src/price.py"))])
    assert is_forbidden("test -f src/price.py", own)
    assert is_forbidden("sh -c 'test -f src/price.py'", own)
    assert not is_forbidden("test -f src/tax.py", own)


def test_a_text_that_cannot_be_followed_forbids_itself():
    deep = "(" * 60 + "make" + ")" * 60
    where = forbidding(HERE, [Command(argv=(deep,), shell=True)])
    assert is_forbidden(deep, where)


def test_it_is_denied_at_once_and_says_why():
    """No question to a person: a yes would not be theirs to give."""
    told = rule(read_call("claude", {"tool_name": "Bash", "tool_input": {"command": "npm t"}}), place("npm test"))
    assert told == Ruling(
        allow=False,
        reason="This task leaves it to the runtime: it builds and tests what you hand in. Go on without it: npm t",
    )
    free = rule(read_call("claude", {"tool_name": "Bash", "tool_input": {"command": "ls"}}), place("npm test"))
    assert free == Ruling(allow=True)


def test_programs_that_start_programs_are_seen_through_a_few_layers():
    assert footprint(["npx", "-y", "cross-env", "A=1", "jest"], "/w") == Footprint(what="jest")
    assert footprint(["A=1"], "/w") is None
    assert footprint([*["npx"] * 20, "jest"], "/w") == Footprint(what="npx")
    assert footprint(["coverage", "html"], "/w") == Footprint(what="coverage")
    assert footprint(["dotenv", "echo"], "/w") is None
