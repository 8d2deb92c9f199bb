"""Attempts with real git, real processes and every sandbox that works here."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.confined import mark_of
from chargehand.adapters.environment import PORT_BLOCK
from chargehand.adapters.sandbox import home_variables
from chargehand.domain.errors import AdapterError
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import ClaimCheck, ExitKind, ReportStatus, Role
from chargehand.domain.plan import EnvSpec
from chargehand.ports import Recovered
from tests.e2e.execution import OUTER, PORTS, Execution, available, setup
from tests.repos import Repo

SANDBOXES = available()


@pytest.fixture(params=SANDBOXES)
def each(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> Execution:
    """With every sandbox."""
    return Execution(repo, tmp_path, request.param)


@pytest.fixture
def best(repo: Repo, tmp_path: Path) -> Execution:
    """With the best sandbox that works here."""
    return Execution(repo, tmp_path, SANDBOXES[0])


def test_a_full_attempt_ends_in_a_sealed_commit(each):
    """The agent commits and leaves more; both are in the result, its report is a claim beside it [I6]."""
    result = each.attempt(
        """
        brief = sys.stdin.read()
        assert brief == pathlib.Path(os.environ["CHARGEHAND_BRIEF"]).read_text("utf-8") == "# Brief ü\\n"
        pathlib.Path("new.txt").write_text("new\\n")
        os.system("git add -A && git commit -q -m 'first step'")
        pathlib.Path("src/app.py").write_text("def run():\\n    return 2\\n")
        report(summary="done", commit=os.popen("git rev-parse HEAD").read().strip())
        print("all good")
        """
    )
    assert (result.exit.kind, result.exit.code) == (ExitKind.EXITED, 0)
    assert result.report is not None
    assert (result.report.status, result.report.summary) == (ReportStatus.DONE, "done")
    sealed = result.sealed
    assert sealed is not None
    assert (sealed.agent_commits, sealed.base_is_ancestor, sealed.claim) == (1, True, ClaimCheck.GOOD)
    repo = each.repo
    assert repo.head(f"refs/chargehand/attempts/{each.name}/t/1") == sealed.commit
    assert repo.files(sealed.commit)["new.txt"] == "new"
    assert repo.files(sealed.commit)["src/app.py"].endswith("return 2")
    message = repo.git("log", "-1", "--format=%an <%ae>%n%B", sealed.commit)
    assert message.startswith(f"Uma User <uma@example.org>\nt: A title of two lines\n\nChargehand-Run: {each.name}\n")
    assert result.output == "all good"
    assert result.log == "attempts/t/1/stdout.log"
    assert (each.folder / result.log).read_text() == "all good\n"
    assert repo.git("status", "--porcelain") == ""
    assert (result.warnings, result.seal_problem, each.left_behind()) == ((), "", [])
    assert sealed.checkout_changed == sealed.config_changed == ()


EXPECTED = {
    "PATH": OUTER["PATH"],
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "GIT_AUTHOR_NAME": "Uma User",
    "GIT_AUTHOR_EMAIL": "uma@example.org",
    "GIT_COMMITTER_NAME": "Uma User",
    "GIT_COMMITTER_EMAIL": "uma@example.org",
    "UV_LINK_MODE": "copy",
    "CHARGEHAND_TASK": "t",
    "CHARGEHAND_ATTEMPT": "1",
    "CHARGEHAND_ROLE": "implementer",
    "MODE": "test",
    "API_TOKEN": OUTER["API_TOKEN"],
}
PATHS = (
    *("HOME", "TMPDIR", "CHARGEHAND_BRIEF", "CHARGEHAND_RESULT", "CHARGEHAND_SCRATCH"),
    *("PIP_CACHE_DIR", "UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR", "npm_config_cache", "CARGO_HOME"),
)


def test_the_environment_word_by_word(each):
    """What the contract names and nothing else: nothing of the user leaks by default."""
    spec = each.spec(env=EnvSpec(passed=("API_TOKEN",), values=(("MODE", "test"),)))
    result = each.attempt(
        """
        found = {name: value for name, value in os.environ.items()}
        found["cwd"] = os.getcwd()
        pathlib.Path("env.json").write_text(json.dumps(found))
        report()
        """,
        spec,
    )
    assert result.sealed is not None
    found = json.loads(each.repo.files(result.sealed.commit)["env.json"])
    cwd = found.pop("cwd")
    assert found.pop("PWD", cwd) == cwd  # bubblewrap sets it
    paths = {name: found.pop(name) for name in PATHS if name in found}
    port_base = int(found.pop("CHARGEHAND_PORT_BASE"))
    assert found.pop("CHARGEHAND_BASE") == spec.base
    own = {"CHARGEHAND_RUN": each.name, "CHARGEHAND_MARKER": f"{mark_of(each.folder)}/t/1/attempt"}
    assert found == {**EXPECTED, **own, **home_variables(OUTER)}
    assert set(PATHS) - set(paths) <= set(home_variables(OUTER))
    assert len(paths["TMPDIR"]) <= 75
    assert all(value.startswith((f"{each.state}/", f"{each.short}/ch-")) for value in paths.values())
    assert cwd.startswith(str(each.state / "pool"))
    assert (port_base - PORTS) % PORT_BLOCK == 0


def test_the_folders_are_new_private_and_the_brief_is_only_read(each):
    """The result's folder exists and is writable, the result does not exist; what is given cannot be changed [I8]."""
    body = """
        import stat
        folders = {name: pathlib.Path(os.environ[name]) for name in ("HOME", "TMPDIR", "CHARGEHAND_SCRATCH")}
        facts = {name: sorted(entry.name for entry in path.iterdir()) for name, path in folders.items()}
        facts["result"] = [result.exists(), result.parent.is_dir(), result.is_absolute()]
        for path in folders.values():
            (path / "left").mkdir()
            (path / "left").chmod(0)
        (result.parent / "beside").write_text("x")
        brief = pathlib.Path(os.environ["CHARGEHAND_BRIEF"])
        facts["mode"] = [stat.S_IMODE(brief.stat().st_mode), stat.S_IMODE(folders["HOME"].stat().st_mode)]
        try:
            brief.write_text("changed")
            facts["brief"] = "written"
        except OSError:
            facts["brief"] = "refused"
        report(summary=json.dumps(facts))
        """
    first = each.attempt(body)
    second = each.attempt(body, each.spec("u"))
    for result in (first, second):
        assert result.report is not None
        facts = json.loads(result.report.summary)
        assert facts["HOME"] == facts["TMPDIR"] == facts["CHARGEHAND_SCRATCH"] == []
        assert facts["result"] == [False, True, True]
        assert facts["mode"] == [0o444, 0o700]
        assert facts["brief"] == ("written" if each.kind == "none" and os.geteuid() == 0 else "refused")
    assert each.left_behind() == []
    assert (each.folder / "attempts/t/1/brief.md").read_text() == "# Brief ü\n"


def test_a_retry_is_shown_the_patch_before_it_and_files_for_humans_are_kept(best):
    base = best.repo.head()
    changed = best.repo.commit("change", note="text\n")
    best.repo.git("reset", "-q", "--hard", base)
    spec = replace(best.spec(), key="t/2/attempt", base=base, previous=(base, changed), attempt=2, role=Role.FIXER)
    result = best.attempt(
        """
        patch = pathlib.Path(os.environ["CHARGEHAND_PREVIOUS"]).read_text()
        report(summary=patch)
        """,
        spec,
    )
    assert result.report is not None
    assert "+++ b/note.txt" in result.report.summary
    folder = best.folder / "attempts" / "t" / "2"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("attempt.json", "brief.md", "previous.patch", "report.json", "stderr.log", "stdout.log")
    ]
    assert "+++ b/note.txt" in (folder / "previous.patch").read_text()


def test_inputs_are_copied_read_only_and_never_sealed(each):
    best = each
    best.repo.write("docs/plan.md", "old\n")
    best.repo.commit("plan")
    spec = best.spec(inputs=(("docs/plan.md", "new plan ü\n"), ("specs/new.md", "spec\n"), ("../out.md", "x")))
    result = best.attempt(
        """
        seen = [pathlib.Path(path).read_text("utf-8") for path in ("docs/plan.md", "specs/new.md")]
        modes = [oct(os.stat(path).st_mode & 0o777) for path in ("docs/plan.md", "specs/new.md")]
        os.system("git add -A; git commit -q -m all")
        pathlib.Path("work.txt").write_text("work")
        report(summary=json.dumps([seen, modes]))
        """,
        spec,
    )
    assert result.report is not None
    assert json.loads(result.report.summary) == [["new plan ü\n", "spec\n"], ["0o444", "0o444"]]
    assert result.sealed is not None
    assert [change.path for change in result.sealed.changes if change.kind != "history"] == ["work.txt"]
    files = best.repo.files(result.sealed.commit)
    assert files["docs/plan.md"] == "old"
    assert "specs/new.md" not in files
    assert any("../out.md" in warning for warning in result.warnings)


def test_a_valid_report_beats_the_exit_code_and_a_signal(best):
    """Evidence decides, with a warning; without a report the same end stays what it was [I6]."""
    spec = best.spec()
    reported = best.attempt("report(); sys.exit(1)", spec)
    assert (reported.exit.kind, reported.exit.code) == (ExitKind.EXITED, 1)
    assert reported.report is not None
    assert reported.warnings == ("The report counts, although the agent ended with exit code 1.",)
    killed = best.attempt("report(); os.kill(os.getpid(), 9)", best.spec("u"))
    assert killed.report is not None
    assert len(killed.warnings) == 1
    silent = best.attempt("print('to stdout'); print('to stderr', file=sys.stderr); sys.exit(3)", best.spec("v"))
    assert (silent.exit.kind, silent.exit.code, silent.report) == (ExitKind.EXITED, 3, None)
    assert silent.report_problem == "The agent wrote no report."
    assert silent.output == "to stdout\nto stderr"
    assert silent.sealed is not None
    assert silent.sealed.tree == silent.sealed.base_tree


def test_a_signal_without_a_report(repo, tmp_path):
    result = Execution(repo, tmp_path, "none").attempt("os.kill(os.getpid(), 11)")
    assert (result.exit.kind, result.exit.code, result.exit.signal) == (ExitKind.EXITED, None, signal.SIGSEGV)


def test_who_reported_and_lingers_is_ended_after_the_grace(each):
    """A report ends an attempt; nothing of it runs on [I11]."""
    result = each.attempt("report(); pathlib.Path('work').write_text('x'); sys.stdout.flush(); time.sleep(600)")
    assert result.exit.kind is ExitKind.REPORTED
    assert result.report is not None
    assert result.warnings == ()
    assert result.usage.wall_s < 20
    assert result.sealed is not None
    assert [change.path for change in result.sealed.changes] == ["work"]


def test_a_result_that_is_still_empty_starts_no_grace(best):
    """A shell makes the file when the command line redirects to it, long before there is a report."""
    result = best.attempt("result.touch(); time.sleep(2.5); report(summary='late')")
    assert (result.exit.kind, result.exit.code) == (ExitKind.EXITED, 0)
    assert result.report is not None
    assert result.report.summary == "late"


def test_a_report_in_the_final_message_counts(best):
    result = best.attempt(
        """print('bye\\n```chargehand-report\\n{"status": "BLOCKED", "blocker": "no network"}\\n```')"""
    )
    assert result.report is not None
    assert result.report.status is ReportStatus.BLOCKED


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('result.write_bytes(b\'{"status": "DONE", "x": "\' + b\'y\' * 10_000_000 + b\'"}\')', "larger than"),
        ("result.symlink_to('/etc/passwd')", "regular file"),
        ("os.mkfifo(result)", "regular file"),
        ("result.mkdir()", "regular file"),
        ("result.write_text('{')", "not JSON"),
        ('result.write_text(\'{"status": "FINE"}\')', "must be one of"),
    ],
)
def test_a_report_that_is_none_is_told_and_never_blocks(best, body, problem):
    result = best.attempt(f"{body}\npathlib.Path('work').write_text('x')")
    assert result.report is None
    assert problem in result.report_problem
    assert result.sealed is not None
    assert [change.path for change in result.sealed.changes] == ["work"]


def test_budgets(best):
    """Wall clock and silence are bounds, with and without a report [I10]."""
    spec = best.spec(wall_s=1.0)
    assert best.attempt("time.sleep(600)", spec).exit.kind is ExitKind.TIMEOUT
    stalled = best.attempt("print('x', flush=True); time.sleep(600)", best.spec("u", idle_s=0.6))
    assert stalled.exit.kind is ExitKind.STALL
    assert stalled.output.startswith("x")


def test_what_grows_over_the_disk_cap_is_ended(best):
    confined = replace(best.confined(), disk_bytes=5_000_000)
    result = best.attempt(
        """
        with open("big", "wb") as file:
            while True:
                file.write(os.urandom(100_000)); file.flush(); time.sleep(0.005)
        """,
        confined=confined,
    )
    assert result.exit.kind is ExitKind.OVER_BUDGET


def test_output_is_capped_cleaned_and_free_of_secrets(best):
    """Nothing an agent prints exhausts the disk or reaches a screen as it is."""
    spec = best.spec(env=EnvSpec(passed=("API_TOKEN",)))
    result = best.attempt(
        """
        for _ in range(300): print("x" * 10_000)
        print("\\x1b[31mtoken", os.environ["API_TOKEN"])
        report(summary="my token is " + os.environ["API_TOKEN"])
        """,
        spec,
        confined=replace(best.confined(), output_bytes=100_000),
    )
    log = (best.folder / result.log).read_bytes()
    assert len(log) < 110_000
    assert OUTER["API_TOKEN"].encode() not in log
    assert result.output.endswith("token [redacted]")
    assert len(result.output) <= 2000
    assert result.report is not None
    assert result.report.summary == "my token is [redacted]"
    assert OUTER["API_TOKEN"] not in (best.folder / "attempts/t/1/report.json").read_text()
    assert any("were dropped" in warning for warning in result.warnings)


def test_the_last_line_is_told_while_it_runs(best):
    best.attempt("print('\\x1b[1mworking\\x1b[0m', flush=True); time.sleep(0.7); report()")
    assert ("t/1/attempt", "working") in best.lines


@pytest.mark.parametrize(
    ("definition", "told"),
    [
        (AgentDef(name="fake", kind="command", command="no-such-program-here"), "no-such-program-here"),
        (AgentDef(name="fake", kind="command", command="/no/such/program"), "/no/such/program"),
        (AgentDef(name="other", kind="command", command="true"), "There is no agent called fake."),
    ],
)
def test_a_missing_program_is_named(best, definition, told):
    result = best.attempt(definition)
    assert result.exit.kind is ExitKind.ENV_MISSING
    assert told in result.exit.detail
    assert (result.sealed, result.seal_problem) == (None, "")


def test_a_program_that_cannot_be_executed_is_named(each, tmp_path):
    script = tmp_path / "broken"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    result = each.attempt(AgentDef(name="fake", kind="command", command=f"'{script}'"))
    assert result.exit.kind is ExitKind.ENV_MISSING
    assert "/no/such/interpreter" in result.exit.detail or "broken" in result.exit.detail
    assert each.left_behind() == []


def test_four_live_attempts_have_ports_and_homes_of_their_own(best):
    """Nobody else in the run has the ports of a live attempt."""
    agent = best.agent(
        """
        import socket
        base = int(os.environ["CHARGEHAND_PORT_BASE"])
        servers = [socket.create_server(("127.0.0.1", base + n)) for n in range(20)]
        scratch = pathlib.Path(os.environ["CHARGEHAND_SCRATCH"])
        print("up", flush=True)
        time.sleep(1.5)
        report(summary=json.dumps([base, os.environ["HOME"], os.getcwd()]))
        """
    )

    async def play() -> Any:
        fleet = best.fleet(agent)
        specs = [best.spec(f"t{n}") for n in range(4)]
        for spec in specs:
            await fleet.submit(spec)
        return await asyncio.gather(*(fleet.wait(spec.key) for spec in specs))

    results = asyncio.run(play())
    facts = [json.loads(result.report.summary) for result in results]
    for index in range(3):
        assert len({fact[index] for fact in facts}) == 4
    assert best.ports.take() not in {fact[0] for fact in facts}


def test_setup_prepares_the_workspace_and_its_failure_starts_no_agent(each):
    body = "report(summary=pathlib.Path('made').read_text())"
    good = each.attempt(body, each.spec(setup=setup("echo made > made; echo $CHARGEHAND_SCRATCH")))
    assert good.report is not None
    assert good.report.summary == "made\n"
    bad = each.attempt(body, each.spec("u", setup=setup("echo no such thing >&2; exit 4")))
    assert bad.exit.kind is ExitKind.ENV_MISSING
    assert "setup could not prepare the workspace" in bad.exit.detail
    assert "exit code 4" in bad.exit.detail
    assert "no such thing" in bad.exit.detail


def test_without_a_sandbox_changes_of_the_checkout_are_told(repo, tmp_path):
    none = Execution(repo, tmp_path, "none")
    result = none.attempt(
        f"""
        pathlib.Path({str(repo.path)!r}, "README.md").write_text("changed")
        pathlib.Path({str(repo.path)!r}, ".git/hooks/post-commit").write_text("#!/bin/sh")
        report()
        """
    )
    assert result.sealed is not None
    assert result.sealed.checkout_changed == ("README.md",)
    assert result.sealed.config_changed == ("hooks/post-commit",)


@pytest.mark.skipif("bwrap" not in SANDBOXES, reason="bubblewrap does not work here")
def test_the_users_repository_is_out_of_reach(best):
    """An agent writes only in its workspace and its private folders [I8]."""
    result = best.attempt(
        f"""
        places = [{str(best.repo.path)!r}, {str(best.folder)!r}, "/root/.ssh"]
        report(summary=json.dumps([os.path.exists(os.path.join(place, ".")) and os.listdir(place) for place in places]))
        """
    )
    assert result.report is not None
    seen = json.loads(result.report.summary)
    assert not any("README.md" in (found or []) for found in seen)
    assert seen[1:] == [False, False]


# -- the end of attempts --------------------------------------------------------------------------

HANG = """
import subprocess
pathlib.Path("work").write_text("unfinished")
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
print("pid", child.pid, flush=True)
time.sleep(600)
"""


async def _until_told(execution: Execution, text: str) -> None:
    async with asyncio.timeout(20):
        while not any(text in line for _, line in execution.lines):  # noqa: ASYNC110 - a list has no event
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("now", [False, True])
def test_cancelling_ends_every_process_and_seals_what_there_is(each, now):
    """Killing an attempt kills every process it started, however it detached [I11]; its work is kept [I2]."""
    agent = each.agent(HANG)

    async def play() -> Any:
        fleet = each.fleet(agent)
        spec = each.spec()
        await fleet.submit(spec)
        await _until_told(each, "pid")
        await fleet.cancel(spec.key, now=now)
        return await fleet.wait(spec.key)

    result = asyncio.run(play())
    assert result.exit.kind is ExitKind.CANCELLED
    assert result.sealed is not None
    assert [change.path for change in result.sealed.changes] == ["work"]
    assert each.repo.files(f"refs/chargehand/rescue/{each.name}/t/1")["work"] == "unfinished", "people find it there"
    assert not _processes_with(f"{mark_of(each.folder)}/t/1/attempt")
    assert each.left_behind() == []


def _processes_with(marker: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"CHARGEHAND_MARKER={marker}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_cancelled_while_being_set_up(best):
    agent = best.agent("report()")

    async def play() -> Any:
        fleet = best.fleet(agent)
        spec = best.spec(setup=setup("echo going; sleep 600"))
        await fleet.submit(spec)
        await _until_told(best, "going")
        await fleet.cancel(spec.key)
        return await fleet.wait(spec.key)

    result = asyncio.run(play())
    assert result.exit.kind is ExitKind.CANCELLED
    assert result.sealed is None
    assert not _processes_with(f"{best.name}/t/1/attempt")
    assert best.left_behind() == []


@pytest.mark.parametrize("pause_s", [0.0, 0.003, 0.01, 0.02, 0.04, 0.08, 0.15])
def test_cancelled_at_any_moment(best, pause_s):
    """Whatever it was doing: it ends, says so, and leaves nothing behind."""
    agent = best.agent("pathlib.Path('work').write_text('x')\ntime.sleep(600)")

    async def play() -> Any:
        fleet = best.fleet(agent)
        spec = best.spec(setup=setup("true", keep=("kept",)))
        await fleet.submit(spec)
        await asyncio.sleep(pause_s)
        await fleet.cancel(spec.key, now=True)
        return await fleet.wait(spec.key)

    assert asyncio.run(play()).exit.kind is ExitKind.CANCELLED
    assert not _processes_with(f"{best.name}/t/1/attempt")
    assert best.left_behind() == []


def test_the_end_of_the_program_rescues_what_was_not_sealed(best):
    """Torn down in the middle, the work is in a rescue ref and no process is left [I2, I11]."""
    agent = best.agent(HANG)

    async def play() -> Any:
        fleet = best.fleet(agent)
        await fleet.submit(best.spec())
        await _until_told(best, "pid")
        await fleet.close()

    asyncio.run(play())
    assert best.repo.files(f"refs/chargehand/rescue/{best.name}/t/1")["work"] == "unfinished"
    assert not _processes_with(f"{best.name}/t/1/attempt")
    assert best.left_behind() == []


def test_a_failed_seal_is_rescued_and_told(best):
    agent = best.agent("pathlib.Path('work').write_text('x'); report()")
    result = best.attempt(agent, best.spec(ref="refs/heads/no such ref"))
    assert result.sealed is None
    assert result.seal_problem
    assert best.repo.files(f"refs/chargehand/rescue/{best.name}/t/1")["work"] == "x"


def test_taking_up_a_run_ends_processes_and_rescues_workspaces(best):
    """After a crash: nothing runs on, and what lay in workspaces is kept [I2, I11]."""
    agent = best.agent(HANG)

    async def crash() -> None:
        fleet = best.fleet(agent)
        await fleet.submit(best.spec("crashed"))
        await _until_told(best, "pid")
        os._exit(0)

    child = os.fork()
    if child == 0:
        try:
            asyncio.run(crash())
        finally:
            os._exit(1)
    os.waitpid(child, 0)

    async def recover() -> Any:
        return await best.fleet(agent).recover(best.name, ())

    told = asyncio.run(recover()).told
    assert f"Task crashed: what it left is kept in refs/chargehand/rescue/{best.name}/crashed/1." in told
    assert best.repo.files(f"refs/chargehand/rescue/{best.name}/crashed/1")["work"] == "unfinished"
    assert not _processes_with(f"{best.name}/crashed/1/attempt")
    assert best.left_behind() == []
    assert asyncio.run(recover()) == Recovered()


def test_an_unknown_key_is_an_error_of_the_port(best):
    async def play() -> Any:
        fleet = best.fleet()
        await fleet.cancel("nobody")
        await fleet.wait("nobody")

    with pytest.raises(AdapterError, match="There is no attempt nobody"):
        asyncio.run(play())


def test_a_run_folder_that_cannot_be_written_is_an_error_of_the_port(best, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AdapterError, match="could not be carried out"):
        best.attempt("report()", folder=tmp_path / "file")
    assert best.left_behind() == []


def test_a_scenario_that_cannot_be_read_is_told(best):
    result = best.attempt(AgentDef(name="fake", kind="scripted", command="missing.yaml", cwd=str(best.root)))
    assert result.exit.kind is ExitKind.ENV_MISSING
    assert "missing.yaml" in result.exit.detail


def test_a_base_that_does_not_exist_is_an_error_of_the_port(best):
    with pytest.raises(AdapterError):
        best.attempt("report()", best.spec(base="0" * 39 + "1"))
    assert best.left_behind() == []


def test_a_workspace_that_its_agent_removed_is_told(repo, tmp_path):
    none = Execution(repo, tmp_path, "none")
    result = none.attempt("import shutil; shutil.rmtree(os.getcwd()); report()")
    assert result.report is not None
    assert result.sealed is None
    assert "is gone" in result.seal_problem
    again = none.attempt("pathlib.Path('work').write_text('x'); report()", none.spec("u"))
    assert again.sealed is not None
    assert [change.path for change in again.sealed.changes] == ["work"]
