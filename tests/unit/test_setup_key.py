"""What the key of a setup depends on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from chargehand.adapters.setup import keep_patterns, setup_key
from chargehand.domain.plan import Command, EnvSpec, SetupSpec

SPEC = SetupSpec(run=Command(argv=("make",)), key=("lock", "packages/*/lock"), keep=("lib",))


def test_everything_that_setup_depends_on_is_in_the_key(tmp_path):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "python3"
    program.touch(mode=0o755)
    workspace = tmp_path / "w"
    (workspace / "packages" / "a").mkdir(parents=True)
    environ = {"PATH": f"{tmp_path}/bin"}
    keys = [setup_key(SPEC, EnvSpec(), workspace, environ)]

    def changed(spec: SetupSpec = SPEC, env: EnvSpec = EnvSpec(), **more: str) -> None:
        keys.append(setup_key(spec, env, workspace, environ | more))
        assert keys[-1] not in keys[:-1]
        assert setup_key(spec, env, workspace, environ | more) == keys[-1]

    (workspace / "lock").write_text("")
    changed()
    (workspace / "packages" / "a" / "lock").write_text("1")
    changed()
    (workspace / "packages" / "a" / "lock").rename(workspace / "packages" / "lock")
    (workspace / "packages" / "b").mkdir()
    (workspace / "packages" / "lock").rename(workspace / "packages" / "b" / "lock")
    changed()
    changed(replace(SPEC, run=Command(argv=("make",), shell=True)))
    changed(replace(SPEC, run=Command(argv=("make", "x"))))
    changed(replace(SPEC, keep=("lib", "lib2")))
    changed(env=EnvSpec(values=(("A", "1"),)))
    changed(VIRTUAL_ENV="/v")
    program.unlink()
    changed()


def test_what_setup_does_not_depend_on_is_not(tmp_path):
    key = setup_key(SPEC, EnvSpec(), tmp_path, {"PATH": "/nowhere"})
    (tmp_path / "other").write_text("x")
    assert setup_key(SPEC, EnvSpec(passed=("X",)), tmp_path, {"PATH": "/nowhere", "HOME": "/h", "X": "1"}) == key


def test_paths_that_leave_the_repository_name_nothing(tmp_path):
    (tmp_path / "secret").write_text("1")
    workspace = tmp_path / "w"
    workspace.mkdir()
    (workspace / "link").symlink_to(Path("../secret"))
    spec = replace(SPEC, key=("../secret", "/etc/passwd", "link"))
    key = setup_key(spec, EnvSpec(), workspace, {})
    (tmp_path / "secret").write_text("2")
    assert setup_key(spec, EnvSpec(), workspace, {}) == key


def test_nothing_to_keep():
    assert keep_patterns(None) == ()
    assert keep_patterns(replace(SPEC, keep=("a", "../b"))) == ("/a",)
