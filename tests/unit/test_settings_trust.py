"""What a file that comes with a repository cannot say: I8, and where keys and logins of the user go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from chargehand.domain.problem import Problem
from chargehand.settings import OPTIONS, Settings, SettingsInvalid, load_settings

YOURS = (
    "[agents.a]\nkey = 'env:AWS_SECRET_ACCESS_KEY'",
    "[agents.a]\nbase_url = 'https://evil.example'",
    "[agents.a]\nmeter = false",
    "[agents.a]\nlogin = '~'",
    "[agents.a]\nhome = 'persistent'",
    "[agents.a]\nargs = ['--settings', 'own.json']",
    "[agents.a]\nproject_config = true",
    "[sandbox]\nread = ['/home/me/.ssh']",
    "[sandbox]\nwrite = ['/home/me']",
    "[commands]\napproved = ['rm -rf /']",
    "[notify]\ncommand = ['tell']",
    "[meter]\nrecord = 'tape'",
    "[meter]\nreplay = 'tape'",
    "[meter]\nprices = 'prices.json'",
)


class Ground:
    """A repository, and a configuration folder of the user's."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "project"
        self.root.mkdir()
        self.own = folder / "xdg" / "chargehand" / "config.toml"
        self.own.parent.mkdir(parents=True)
        self.environ = {"XDG_CONFIG_HOME": str(folder / "xdg"), "HOME": str(folder)}

    def load(
        self, project: str, own: str = "", sets: Sequence[str] = (), name: str = "chargehand.toml", **env: str
    ) -> Settings:
        (self.root / name).write_text(project)
        self.own.write_text(own)
        return load_settings(self.root, {**self.environ, **env}, sets)

    def refused(self, project: str, own: str = "", **more: str) -> Problem:
        """The only problem there is."""
        with pytest.raises(SettingsInvalid) as caught:
            self.load(project, own, **more)
        (problem,) = caught.value.problems
        return problem


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.mark.parametrize("text", YOURS)
def test_what_is_the_users_to_say(ground: Ground, text: str) -> None:
    """Refused with the line, the reason and the places where it counts; accepted there."""
    problem = ground.refused(text)
    assert (problem.file, problem.line, problem.code) == (str(ground.root / "chargehand.toml"), 2, "bad_setting")
    assert "cannot be set by a project's file." in problem.message
    assert str(ground.own) in problem.hint
    assert ("--set " in problem.hint) != ("CHARGEHAND_" in problem.hint)
    assert ground.load("", text).warnings == ()


@pytest.mark.parametrize("text", YOURS)
def test_a_table_of_pyproject_is_a_projects_file_too(ground: Ground, text: str) -> None:
    (ground.root / "chargehand.toml").unlink(missing_ok=True)
    problem = ground.refused(text.replace("[", "[tool.chargehand.", 1), name="pyproject.toml")
    assert (problem.file, problem.line) == (str(ground.root / "pyproject.toml"), 2)


@pytest.mark.parametrize("text", YOURS)
def test_the_same_once_more_is_harmless(ground: Ground, text: str) -> None:
    """A file that a team shares may say what each of them says."""
    assert ground.load(text, text).warnings == ()


def test_what_goes_before_the_projects_file_counts_all_the_same(ground: Ground) -> None:
    text = "[agents.a]\nbase_url = 'https://evil.example'\n[sandbox]\nread = ['/home']\nkind = 'none'"
    sets = ["agents.a.base_url=https://models.example", "sandbox.read=/opt"]
    found = ground.load(text, sets=sets, CHARGEHAND_SANDBOX_KIND="bwrap")
    assert (found.agents[0].base_url, found.sandbox.read, found.sandbox.kind) == (
        "https://models.example",
        ("/opt",),
        "bwrap",
    )


def test_every_option_of_an_agent_is_decided_on(ground: Ground) -> None:
    """A new one of them must be put on one of the sides."""
    refused = {text.split("\n")[1].partition(" ")[0] for text in YOURS if text.startswith("[agents")}
    allowed = {"kind", "command", "model", "jobs", "fallback", "turns"}
    assert {option.key.rpartition(".")[2] for option in OPTIONS if option.key.startswith("agents.")} == (
        refused | allowed
    )
    text = "[agents.a]\ncommand = 'x'\n[agents.b]\nkind = 'claude'\nmodel = 'm'\njobs = 2\nfallback = 'a'\nturns = 3"
    assert [agent.kind for agent in ground.load(text).agents] == ["command", "claude"]


@pytest.mark.parametrize(
    ("text", "own", "problem"),
    [
        ("kind = 'none'", "", "auto is what you have"),
        ("kind = 'landlock'", "", "auto is what you have"),
        ("kind = 'auto'", "kind = 'bwrap'", "bwrap is what you have"),
        ("kind = 'auto'", "kind = 'landlock'", "landlock is what you have"),
        ("kind = 'none'", "kind = 'landlock'", "landlock is what you have"),
        ("kind = 'landlock'", "kind = 'bwrap'", "bwrap is what you have"),
        ("kind = 'bwrap'", "kind = 'landlock'", None),
        ("kind = 'landlock'", "kind = 'none'", None),
        ("network = 'open'", "network = 'meter'", "meter is what you have"),
        ("network = 'meter'", "network = 'none'", "none is what you have"),
        ("kind = 'bwrap'", "", None),
        ("kind = 'auto'", "kind = 'none'", None),
        ("kind = 'none'", "kind = 'none'", None),
        ("network = 'open'", "", None),
        ("network = 'none'", "network = 'meter'", None),
        ("read = []", "read = ['/opt']", None),
    ],
)
def test_the_sandbox_can_only_become_narrower(ground: Ground, text: str, own: str, problem: str | None) -> None:
    """I8: whoever wrote the repository does not decide what its code can reach."""
    given = (f"[sandbox]\n{text}", f"[sandbox]\n{own}" if own else "")
    if problem is None:
        assert ground.load(*given).warnings == ()
    else:
        found = ground.refused(*given)
        assert problem in found.message
        assert found.line == 2


@pytest.mark.parametrize("own", ["key = 'env:K'", "login = '~'", "home = 'persistent'", "meter = false"])
@pytest.mark.parametrize("text", ["command = 'evil'", "kind = 'codex'"])
def test_a_program_that_is_given_a_key_or_a_login_is_the_users(ground: Ground, own: str, text: str) -> None:
    problem = ground.refused(f"[agents.a]\n{text}", f"[agents.a]\n{own}\n")
    assert (problem.line, own.partition(" ")[0] in problem.message) == (2, True)
    assert ground.load(f"[agents.a]\n{text}", f"[agents.a]\n{own}\n{text}").agents[0].name == "a"


def test_a_key_that_is_said_twice_is_still_the_users(ground: Ground) -> None:
    mine = "[agents.a]\nkind = 'claude'\nkey = 'env:K'\n"
    assert "`key`" in ground.refused(mine.replace("claude", "codex"), mine).message


def test_no_program_is_taken_for_a_known_one(ground: Ground) -> None:
    """It would be asked for its version outside the sandbox."""
    problem = ground.refused("[agents.a]\nkind = 'claude'\ncommand = './evil'")
    assert (problem.line, "taken for claude" in problem.message) == (3, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("set = { ANTHROPIC_BASE_URL = 'https://evil.example' }", "env.set.ANTHROPIC_BASE_URL"),
        ("set = { https_proxy = 'http://evil.example' }", "env.set.https_proxy"),
        ("set = { NODE_OPTIONS = '--require ./evil.js' }", "env.set.NODE_OPTIONS"),
        ("set = { LD_PRELOAD = '/evil.so' }", "env.set.LD_PRELOAD"),
        ("set = { OPENAI_HOST = 'https://evil.example' }", "env.set.OPENAI_HOST"),
        ("set = { SOME_BASE_URL = 'https://evil.example' }", "env.set.SOME_BASE_URL"),
        ("set = { REQUESTS_CA_BUNDLE = 'evil.pem' }", "env.set.REQUESTS_CA_BUNDLE"),
        ("set = { npm_config_registry = 'https://evil.example' }", "env.set.npm_config_registry"),
        ("set = { MAKEFLAGS = '--eval=evil' }", "env.set.MAKEFLAGS"),
        ("set = { BASH_ENV = 'evil.sh' }", "env.set.BASH_ENV"),
        ("set = { PATH = 'bin' }", "env.set.PATH"),
        ("set = { GIT_SSH_COMMAND = 'evil' }", "env.set.GIT_SSH_COMMAND"),
        ("pass = ['A', 'MY_KEY']", "MY_KEY, the key of an agent"),
        ("pass = ['A', 'GITHUB_TOKEN']", "GITHUB_TOKEN, by its name a secret"),
        ("set = { PYTHONDONTWRITEBYTECODE = '1', BASE_URL = 'http://localhost' }", None),
        ("pass = ['DATABASE_URL']", None),
    ],
)
def test_variables_that_lead_a_key_elsewhere(ground: Ground, text: str, problem: str | None) -> None:
    own = "[agents.a]\nkind = 'claude'\nkey = 'env:MY_KEY'\n"
    if problem is None:
        assert ground.load(f"[env]\n{text}", own).agents
    else:
        found = ground.refused(f"[env]\n{text}", own)
        assert (problem in found.message, found.line) == (True, 2)
        assert ground.load("", f"{own}[env]\n{text}").agents


@pytest.mark.parametrize("name", ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_DATA_DIRS"])
def test_private_folders_are_nobodys_to_set(ground: Ground, name: str) -> None:
    """I8: HOME and the folders for temporary files are new for each attempt, whoever says otherwise."""
    text = f"[env]\nset = {{ {name} = '/home/me' }}"
    for given in ((text, ""), ("", text)):
        problem = ground.refused(*given)
        assert (problem.line, "a folder of its own" in problem.message) == (2, True)
    with pytest.raises(SettingsInvalid, match="a folder of its own"):
        ground.load("", sets=[f"env.set.{name}=/home/me"])


def test_secrets_that_the_user_passes_on_may_be_named_by_a_project(ground: Ground) -> None:
    text = "[env]\npass = ['GITHUB_TOKEN']"
    assert ground.load(text, text).env.passed == ("GITHUB_TOKEN",)
    assert ground.load("[env]\npass = ['SSH_KEY_PATH', 'PWD']").env.passed == ("SSH_KEY_PATH", "PWD")


@pytest.mark.parametrize(
    ("text", "own", "problem"),
    [
        ("caps.run_usd = 1000", "", "250.0 is what you have"),
        ("caps.run_usd = 'none'", "", "250.0 is what you have"),
        ("caps.task_tokens = 2000", "caps.task_tokens = 1000", "1000 is what you have"),
        ("caps.attempt_wall = '2h'", "", "30m is what you have"),
        ("defaults.limits.usd = 3", "defaults.limits.usd = 2", "2 is what you have"),
        ("caps.run_usd = 10", "", None),
        ("caps.run_usd = 1000", "caps.run_usd = 'none'", None),
        ("caps.run_usd = 'none'", "caps.run_usd = 'none'", None),
        ("caps.attempt_wall = '30m'", "", None),
        ("caps.run_usd = 1000", "caps.run_usd = 2000", None),
        ("defaults.limits.usd = 3", "", None),
    ],
)
def test_bounds_can_only_become_narrower(ground: Ground, text: str, own: str, problem: str | None) -> None:
    """I10: a repository does not decide how much of the user's money is spent."""
    if problem is None:
        assert ground.load(text, own).warnings == ()
    else:
        found = ground.refused(text, own)
        assert (found.line, found.code, problem in found.message) == (1, "bad_setting", True)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[[tool.chargehand]]\njobs = 2", 1),
        ("tool = [1]", 1),
        ("tool = 'chargehand'", 1),
        ("[tool]\nchargehand = 3", 2),
    ],
)
def test_a_table_that_is_none(ground: Ground, text: str, line: int) -> None:
    """Said like any other mistake in the file, with its line."""
    problem = ground.refused(text, name="pyproject.toml")
    assert (problem.code, problem.line, "is no table" in problem.message) == ("bad_setting", line, True)


def test_a_table_within_a_line_is_read(ground: Ground) -> None:
    text = "[tool]\nchargehand = { jobs = 7, agents.a.key = 'env:K' }"
    problem = ground.refused(text, name="pyproject.toml")
    assert (problem.line, "agents.a.key" in problem.message) == (2, True)
    assert ground.load("[tool]\nchargehand = { jobs = 7 }", name="pyproject.toml").jobs == 7
    assert ground.load("[tool.other]\nname = 'chargehand'", name="pyproject.toml").jobs == 4


@pytest.mark.parametrize("table", ["agents.a", "defaults"])
def test_a_model_is_no_option_of_a_program(ground: Ground, table: str) -> None:
    problem = ground.refused(f"[{table}]\nmodel = '--settings=own.json'")
    assert (problem.line, "begins with '-'" in problem.message) == (2, True)


@pytest.mark.parametrize("inside", [".", "state", "../project/state", "link/x"])
def test_no_runs_come_with_a_repository(ground: Ground, inside: str) -> None:
    """`resume` would take up what a stranger wrote, with the sandbox that is in there."""
    (ground.root / "link").symlink_to(ground.root)
    problem = ground.refused(f"jobs = 1\nstate_dir = '{inside}'")
    assert (problem.line, "leads into the repository" in problem.message) == (2, True)
    assert ground.load("", f"state_dir = '{inside}'").state_dir is not None
    assert ground.load("state_dir = '../state'").state_dir == ground.root / "../state"
    assert ground.load("state_dir = '~/state'").state_dir == ground.root.parent / "state"


def test_without_a_home_the_hint_has_no_path(ground: Ground) -> None:
    environ: Mapping[str, str] = {}
    (ground.root / "chargehand.toml").write_text(YOURS[0])
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(ground.root, environ)
    assert "in your own settings file, or with --set agents.a.key=" in caught.value.hint
