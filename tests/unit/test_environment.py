"""The environment of agents, gates and setup, and their ports."""

import socket
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.adapters.environment import PORT_BLOCK, Environment, Identity, Ports
from chargehand.adapters.folders import PrivateFolders, Room
from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import LOOKERS, Role
from chargehand.domain.plan import EnvSpec
from chargehand.ports import AttemptSpec, GateJob, Places

OUTER = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C",
    "TZ": "UTC",
    "TERM": "xterm",
    "USER": "u",
    "LOGNAME": "u",
    "SHELL": "/bin/sh",
    "VIRTUAL_ENV": "/venv",
    "SSL_CERT_FILE": "/certs.pem",
    "https_proxy": "http://proxy",
    "NO_PROXY": "localhost",
    "HOME": "/home/u",
    "TMPDIR": "/var/tmp",
    "DATABASE_URL": "postgres://u:hunter2222@h/db",
    "AWS_SECRET_ACCESS_KEY": "never",
    "LD_PRELOAD": "/x.so",
    "PYTHONPATH": "/p",
    "GIT_AUTHOR_NAME": "Somebody",
    "CHARGEHAND_TASK": "outer",
    "CHARGEHAND_PREVIOUS": "/outer.patch",
    "CHARGEHAND_AGENT": "outer",
}
PASSED = {name: OUTER[name] for name in list(OUTER)[:12]}
GIT = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


def environment(outer=OUTER, cache: Path | None = None) -> Environment:
    return Environment(outer=outer, identity=Identity(name="Ada", email="ada@example.org"), cache=cache)


ATTEMPT = AttemptSpec(
    key="t/2/attempt",
    run="r1",
    task="t",
    attempt=2,
    role=Role.FIXER,
    base="b" * 40,
    title="T",
    brief="do",
    agent="a",
)


def attempt(env: EnvSpec = EnvSpec()) -> AttemptSpec:
    return replace(ATTEMPT, env=env)


PLACES = Places(
    workspace=Path("/w"),
    home=Path("/r/home"),
    tmp=Path("/r/tmp"),
    scratch=Path("/r/scratch"),
    brief=Path("/r/given/brief.md"),
    result=Path("/r/out/result.json"),
    port_base=20_020,
)
CONTRACT = {
    "HOME": "/r/home",
    "TMPDIR": "/r/tmp",
    "CHARGEHAND_RUN": "r1",
    "CHARGEHAND_TASK": "t",
    "CHARGEHAND_ATTEMPT": "2",
    "CHARGEHAND_ROLE": "fixer",
    "CHARGEHAND_BASE": "b" * 40,
    "CHARGEHAND_BRIEF": "/r/given/brief.md",
    "CHARGEHAND_RESULT": "/r/out/result.json",
    "CHARGEHAND_SCRATCH": "/r/scratch",
    "CHARGEHAND_PORT_BASE": "20020",
}


def room(root: Path) -> Room:
    return Room(root=root, **{name: root / name for name in ("home", "tmp", "scratch", "out", "given")})


def test_an_attempt_finds_exactly_what_the_contract_names():
    assert environment().of_attempt(attempt(), PLACES, {}) == PASSED | GIT | CONTRACT


def test_a_retry_finds_the_patch_of_the_attempt_before():
    places = replace(PLACES, previous=Path("/r/given/previous.patch"))
    built = environment().of_attempt(attempt(), places, {})
    assert built == PASSED | GIT | CONTRACT | {"CHARGEHAND_PREVIOUS": "/r/given/previous.patch"}


LOOKED_AT = {"CHARGEHAND_DIFF": "/r/given/change.patch", "CHARGEHAND_TREE": "e" * 40}


@pytest.mark.parametrize("role", sorted(LOOKERS))
def test_those_who_look_find_the_change_and_the_tree(role):
    """I7: a judgement names its tree; nobody else has one."""
    places = replace(PLACES, diff=Path("/r/given/change.patch"))
    spec = replace(attempt(), role=role, commit="c" * 40, tree="e" * 40)
    built = environment().of_attempt(spec, places, {"CHARGEHAND_TREE": "x"})
    assert built == PASSED | GIT | CONTRACT | LOOKED_AT | {"CHARGEHAND_ROLE": role.value}
    assert "CHARGEHAND_TREE" not in environment().of_attempt(replace(spec, role=Role.FIXER), PLACES, {})


def test_an_evidence_command_finds_what_a_gate_finds():
    spec = replace(attempt(), role=Role.SPEC_REVIEWER, commit="c" * 40, tree="e" * 40)
    built = environment().of_probe(spec, room(Path("/r")), 20_040)
    assert {name: built[name] for name in built if name.startswith("CHARGEHAND_")} == {
        "CHARGEHAND_TREE": "e" * 40,
        "CHARGEHAND_BASE": "b" * 40,
        "CHARGEHAND_SCRATCH": "/r/scratch",
        "CHARGEHAND_PORT_BASE": "20040",
        "CHARGEHAND_JUNIT": "/r/out/junit.xml",
    }


def test_what_a_driver_sets_goes_before_what_a_plan_sets():
    """SPEC 7: a plan does not decide where a key goes, or which folders are an attempt's own."""
    values = (
        *(("ANTHROPIC_BASE_URL", "https://evil.example"), ("ANTHROPIC_API_KEY", "mine"), ("HOME", "/evil")),
        *(("TMPDIR", "/evil"), ("XDG_CONFIG_HOME", "/evil"), ("XDG_DATA_DIRS", "/evil"), ("XDG_MINE", "1")),
    )
    driver = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1/t/x", "ANTHROPIC_API_KEY": "x"}
    env = EnvSpec(passed=("XDG_CACHE_HOME",), values=values)
    outer = {**OUTER, "XDG_CACHE_HOME": "/home/u/.cache"}
    built = environment(outer).of_attempt(attempt(env=env), PLACES, driver)
    assert built == PASSED | GIT | CONTRACT | driver | {"XDG_MINE": "1"}
    setup = environment(outer).of_setup(attempt(env=env), room(Path("/r")), 20_000)
    assert (setup["HOME"], setup["TMPDIR"]) == ("/r/home", "/r/tmp")
    assert setup["ANTHROPIC_BASE_URL"] == "https://evil.example"  # no key is there


def test_the_plan_passes_and_sets_names_but_none_of_the_contract():
    """An agent's facts come from the runtime alone: neither the plan nor an outer run may forge them."""
    env = EnvSpec(
        passed=("DATABASE_URL", "MISSING", "CHARGEHAND_PREVIOUS", "HOME"),
        values=(("PYTHONHASHSEED", "0"), ("GIT_AUTHOR_NAME", "Plan"), ("CHARGEHAND_RESULT", "/evil"), ("TZ", "CET")),
    )
    built = environment().of_attempt(
        attempt(env=env), PLACES, {"FROM_AGENT": "1", "CHARGEHAND_ROLE": "x", "AGENT": "2"}
    )
    assert built == PASSED | GIT | CONTRACT | {
        "DATABASE_URL": OUTER["DATABASE_URL"],
        "PYTHONHASHSEED": "0",
        "GIT_AUTHOR_NAME": "Plan",
        "FROM_AGENT": "1",
        "AGENT": "2",
        "TZ": "CET",
    }


def test_a_gate_finds_its_five_names():
    job = GateJob(key="k", run="r", task="t", attempt=1, commit="c" * 40, tree="t" * 40, base="b" * 40, checks=())
    built = environment().of_check(job, room(Path("/r")), 20_040, Path("/r/out/lint.xml"))
    assert built == PASSED | GIT | {
        "HOME": "/r/home",
        "TMPDIR": "/r/tmp",
        "CHARGEHAND_TREE": "t" * 40,
        "CHARGEHAND_BASE": "b" * 40,
        "CHARGEHAND_SCRATCH": "/r/scratch",
        "CHARGEHAND_PORT_BASE": "20040",
        "CHARGEHAND_JUNIT": "/r/out/lint.xml",
    }


def test_a_check_has_caches_of_its_own(tmp_path):
    """I7: what one check leaves in a cache is not there for the next; what setup fetched is looked at."""
    (tmp_path / "cache" / "cargo" / "registry").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    mine = room(tmp_path)
    job = GateJob(key="k", run="r", task="t", attempt=1, commit="c" * 40, tree="t" * 40, base="b" * 40, checks=())
    built = environment(cache=tmp_path / "cache").of_check(job, mine, 20_040, tmp_path / "x.xml")
    names = ("PIP_CACHE_DIR", "UV_CACHE_DIR", "npm_config_cache", "CARGO_HOME")
    assert all(Path(built[name]).is_relative_to(mine.home) for name in names)
    assert (mine.home / ".cargo" / "registry").readlink() == tmp_path / "cache" / "cargo" / "registry"
    setup = environment(cache=tmp_path / "cache").of_gate_setup(job, mine, 20_040)
    assert setup["PIP_CACHE_DIR"] == str(tmp_path / "cache" / "pip")


def test_package_managers_are_pointed_to_the_cache(tmp_path):
    built = environment(cache=tmp_path / "cache").of_setup(attempt(), room(Path("/r")), 20_000)
    pointed = {name: value for name, value in built.items() if value.startswith(str(tmp_path))}
    assert set(pointed) == {
        "PIP_CACHE_DIR",
        "UV_CACHE_DIR",
        "UV_PYTHON_INSTALL_DIR",
        "npm_config_cache",
        "CARGO_HOME",
    }
    assert built["UV_LINK_MODE"] == "copy"
    assert environment(cache=tmp_path / "cache").cache == (tmp_path / "cache",)
    assert (tmp_path / "cache").is_dir()


def test_secrets_are_what_a_program_was_really_given():
    env = EnvSpec(passed=("DATABASE_URL",), values=(("API_TOKEN", "tok-12345678"), ("MODE", "production")))
    assert set(environment().secrets(env)) == {"hunter2222", "tok-12345678"}


def test_port_blocks_never_overlap_and_come_back():
    ports = Ports(first=23_000, blocks=4, start=2)
    taken = [ports.take() for _ in range(4)]
    assert sorted(taken) == [23_000, 23_020, 23_040, 23_060]
    assert taken[0] == 23_040
    with pytest.raises(AdapterError, match="No 20 free ports in 23000–23079"):
        ports.take()
    ports.give(23_020)
    ports.give(23_020)
    assert ports.take() == 23_020


def test_a_block_with_a_port_in_use_is_passed_over():
    ports = Ports(first=23_100, blocks=2)
    with closing(socket.create_server(("127.0.0.1", 23_100 + PORT_BLOCK - 1))):
        assert ports.take() == 23_120


def test_rooms_are_new_private_and_emptied_whatever_was_left(tmp_path):
    folders = PrivateFolders(tmp_path / "run time", tmp_path)
    one, two = folders.make(), folders.make()
    assert one.root != two.root
    for folder in (*one.writable, one.given):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert list(folder.iterdir()) == []
