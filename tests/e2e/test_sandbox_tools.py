"""The user's tools work inside, and nothing else of the home comes with them (SPEC 7.1)."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.adapters.process import EndKind, run
from chargehand.adapters.sandbox import choice, choose, home_variables
from chargehand.adapters.sandbox.bwrap import Bubblewrap
from chargehand.adapters.sandbox.landlock import Landlock
from chargehand.adapters.sandbox.none import NoSandbox
from chargehand.domain.errors import UserError
from tests.e2e.processes import PATH, Place, sandbox_of

SYSTEM = "/usr/local/bin:/usr/bin:/bin"
SECRET = "the secret"


@pytest.fixture(params=["bwrap", "landlock"])
def sandbox(request):
    return sandbox_of(request.param)


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "ho me é"
    home.mkdir()
    (home / "secret").write_text(SECRET)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def place(tmp_path, sandbox, home):
    return Place(folder=tmp_path, sandbox=sandbox, hidden=(tmp_path / "project",))


def program(path: Path, text: str = "#!/bin/sh\necho it works\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def with_library(path: Path) -> Path:
    """A program that needs a file beside its folder."""
    library = path.parent.parent / "lib" / "data"
    library.parent.mkdir(parents=True, exist_ok=True)
    library.write_text("it works\n")
    return program(path, '#!/bin/sh\ncat "$(dirname "$(realpath "$0")")/../lib/data"\n')


def works(place: Place, name: str, *folders: Path, **env: str) -> None:
    """Whether `name` is found and runs with these folders in front of PATH; nothing else of the home is seen."""
    path = ":".join([*map(str, folders), SYSTEM])
    there = replace(place, env={"PATH": path, **env})
    assert not there.sees(place.folder / "ho me é" / "secret")
    done = there.run((name,))
    assert (done.end.code, done.out) == (0, "it works\n"), done
    assert there.sandbox.explain(name, there.confinement()) == ""


# -- the tools of this machine -------------------------------------------------------------------------


def test_the_python_that_runs_the_tests_works(place):
    done = place.run((sys.executable, "-c", "import ssl, sqlite3, ctypes, pydantic; print('it works')"))
    assert (done.end.code, done.out) == (0, "it works\n")


def test_a_real_virtual_environment_works_with_its_base(place, home):
    venv = home / "venvs" / "demo"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, env={"PATH": PATH})
    (venv / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "only_here.py").write_text(
        "X = 'it works'\n"
    )
    inside = replace(place, env={"PATH": f"{venv / 'bin'}:{SYSTEM}", "VIRTUAL_ENV": str(venv)})
    done = inside.run(("python", "-c", "import ssl, only_here; print(only_here.X)"))
    assert (done.end.code, done.out) == (0, "it works\n")


def test_git_works_on_a_workspace_that_borrows_objects(place, tmp_path, home):
    project = tmp_path / "project"
    environment = {"PATH": PATH, "HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*words: str, at: Path = project) -> None:
        subprocess.run(["git", "-C", str(at), *words], check=True, env=environment, capture_output=True)

    project.mkdir()
    git("init", "-q", "-b", "main")
    (project / "file").write_text("it works\n")
    git("add", "file")
    git("-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "base")
    subprocess.run(["git", "clone", "-q", "--shared", str(project), str(place.workspace)], check=True, env=environment)
    objects = project / ".git" / "objects"
    there = replace(place, hidden=(project, project / ".git"), readable=(objects,), env=environment)
    done = there.run("git show HEAD:file && git -c user.name=A -c user.email=a@b commit -q --allow-empty -m more")
    assert (done.end.code, done.out) == (0, "it works\n")
    assert replace(there, readable=()).run("git show HEAD:file").end.code != 0


# -- kinds of installations ----------------------------------------------------------------------------


def test_a_plain_folder_on_path(place, home):
    program(home / "bin" / "tool")
    works(place, "tool", home / "bin")


@pytest.mark.parametrize(
    "name",
    [
        ".nvm/versions/node/v20.1.0/bin/tool",
        ".pyenv/versions/3.11.7/bin/tool",
        "miniconda3/envs/x/bin/tool",
        ".sdkman/candidates/java/17/bin/tool",
        ".npm-global/bin/tool",
        ".rustup/toolchains/stable/bin/tool",
    ],
)
def test_an_installation_comes_with_its_library(place, home, name):
    path = with_library(home / name)
    works(place, "tool", path.parent)


@pytest.mark.parametrize("target", [".local/share/uv/tools/tool/bin/tool", ".local/share/pipx/venvs/tool/bin/tool"])
def test_a_tool_in_an_environment_of_its_own(place, home, target):
    """A link in ~/.local/bin to a script that needs the environment around it."""
    path = with_library(home / target)
    (path.parent.parent / "pyvenv.cfg").write_text("home = /usr/bin\n")
    path.rename(path.with_name("interpreter"))
    program(path, f'#!/bin/sh\nexec "{path.with_name("interpreter")}"\n')  # a first line cannot hold a blank
    folder = home / ".local" / "bin"
    folder.mkdir()
    (folder / "tool").symlink_to(path)
    works(place, "tool", folder)


def test_the_interpreter_of_a_script_is_found_by_its_first_line(tmp_path, sandbox, monkeypatch):
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    interpreter = with_library(home / ".local" / "share" / "venvs" / "x" / "bin" / "interpreter")
    (interpreter.parent.parent / "pyvenv.cfg").write_text("home = /usr/bin\n")
    code = f"#!{sys.executable}\nprint(open('{interpreter.parent.parent}/lib/data').read(), end='')\n"
    program(home / "bin" / "other", code)
    program(home / "bin" / "tool", f"#!{interpreter}\n")
    place = Place(folder=tmp_path, sandbox=sandbox, env={"PATH": f"{home / 'bin'}:{SYSTEM}"})
    assert place.run(("tool",)).end.kind is EndKind.EXITED
    assert place.sandbox.explain("tool", place.confinement()) == ""


def test_a_chain_of_links_is_followed_to_its_end(place, home):
    end = program(home / "opt" / "agent" / "versions" / "2.0" / "agent")
    (home / "opt" / "agent" / "current").symlink_to("versions/2.0")
    (home / ".local" / "bin").mkdir(parents=True)
    (home / ".local" / "bin" / "agent").symlink_to("../../opt/agent/current/agent")
    assert end.exists()
    works(place, "agent", home / ".local" / "bin")


def test_a_link_in_a_system_folder_into_the_home(place, home, tmp_path):
    program(home / ".claude" / "local" / "agent")
    system = tmp_path / "usr-local-bin"
    system.mkdir()
    (system / "agent").symlink_to(home / ".claude" / "local" / "agent")
    works(place, "agent", system)


def test_packages_installed_beside_the_project(place, home):
    modules = home / "tools" / "node_modules"
    program(modules / "agent" / "cli", '#!/bin/sh\ncat "$(dirname "$(realpath "$0")")/../other/data"\n')
    (modules / "other").mkdir()
    (modules / "other" / "data").write_text("it works\n")
    (modules / ".bin").mkdir()
    (modules / ".bin" / "agent").symlink_to("../agent/cli")
    works(place, "agent", modules / ".bin")


def test_an_environment_inside_the_hidden_work_tree(place, tmp_path):
    project = tmp_path / "project"
    (project / "app.py").parent.mkdir()
    (project / "app.py").write_text(SECRET)
    path = with_library(project / ".venv" / "bin" / "tool")
    (project / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    works(place, "tool", path.parent, VIRTUAL_ENV=str(project / ".venv"))
    assert not replace(place, env={"PATH": f"{path.parent}:{SYSTEM}"}).sees(project / "app.py")


def test_an_environment_made_in_the_workspace_stays_writable(place):
    path = place.confinement().workspace / ".venv" / "bin" / "tool"
    with_library(path)
    (place.workspace / ".venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    there = replace(place, env={"PATH": f"{path.parent}:{SYSTEM}", "VIRTUAL_ENV": str(place.workspace / ".venv")})
    done = there.run("tool && echo more > .venv/lib/more")
    assert (done.end.code, done.out) == (0, "it works\n")


def test_version_managers_find_their_folders_although_home_is_private(sandbox, tmp_path, home, monkeypatch):
    program(home / ".cargo" / "bin" / "cargo", '#!/bin/sh\ncat "$RUSTUP_HOME/toolchains/stable/lib/data"\n')
    with_library(home / ".rustup" / "toolchains" / "stable" / "bin" / "cargo")
    (home / ".cargo" / "credentials.toml").write_text(SECRET)
    env = {"PATH": f"{home / '.cargo' / 'bin'}:{SYSTEM}", "HOME": str(tmp_path / "private")}
    place = Place(folder=tmp_path, sandbox=sandbox, env=env)
    assert home_variables(env) == {"RUSTUP_HOME": str(home / ".rustup")}
    assert home_variables({**env, "RUSTUP_HOME": "/elsewhere"}) == {}
    assert place.run(("cargo",)).out == "it works\n"
    assert not place.sees(home / ".cargo" / "credentials.toml")


# -- what the argv names -------------------------------------------------------------------------------


def test_an_absolute_program_comes_with_its_folder(place, home):
    path = program(home / "agents" / "agent", '#!/bin/sh\ncat "$(dirname "$0")/words"\n')
    (home / "agents" / "words").write_text("it works\n")
    (home / "agents" / ".env").write_text(SECRET)
    done = place.run((str(path),))
    assert (done.end.code, done.out) == (0, "it works\n")


def test_an_absolute_file_among_the_arguments_comes_with_its_folder(place, home):
    path = program(home / "agents" / "agent.py", "import helper; print(helper.WORDS)\n")
    (home / "agents" / "helper.py").write_text("WORDS = 'it works'\n")
    assert place.run((sys.executable, str(path))).out == "it works\n"
    assert place.run(("cat", f"--config={path}", f"{path}")).end.code == 1  # cat knows no --config
    assert place.run(f"{home / 'agents' / 'agent.py'} || exit 9").end.code == 9  # a text is not argv


def test_a_file_right_in_the_home_comes_alone(place, home):
    path = program(home / "agent")
    assert place.run((str(path),)).out == "it works\n"
    done = place.run((str(path.with_name("agent")),))
    assert done.end.code == 0
    assert not place.sees(home / "secret")


def test_a_link_among_the_arguments_is_there_under_its_name(place, home):
    program(home / "real" / "agent")
    (home / "agents").mkdir()
    (home / "agents" / "current").symlink_to("../real/agent")
    assert place.run((str(home / "agents" / "current"),)).out == "it works\n"


@pytest.mark.parametrize("folder", [".ssh", ".aws", ".gnupg", ".config/gcloud", ".kube"])
def test_folders_of_secrets_are_never_bound_because_they_were_named(place, home, folder):
    (home / folder).mkdir(parents=True)
    (home / folder / "config").write_text(SECRET)
    assert SECRET not in place.run(("cat", str(home / folder / "config"))).out
    asked = replace(place, readable=(home / folder / "config",))
    assert asked.sees(home / folder / "config")


@pytest.mark.parametrize(
    ("name", "text", "is_seen"),
    [
        (".npmrc", "token", False),
        ("etc/npmrc", "token", False),
        (".env", "A=b", False),
        (".env.local", "A=b", False),
        (".env.example", "A=b", True),
        ("credentials.json", "{}", False),
        ("id_ed25519", "key", False),
        ("id_ed25519.pub", "key", True),
        ("server.pem", "-----BEGIN PRIVATE KEY-----", False),
        ("cacert.pem", "-----BEGIN CERTIFICATE-----", True),
        (".git-credentials", "x", False),
        ("README", "x", True),
    ],
)
def test_credentials_in_what_is_bound_are_covered(place, home, name, text, is_seen):
    root = with_library(home / "tool" / "bin" / "tool").parent.parent
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text)
    there = replace(place, env={"PATH": f"{root / 'bin'}:{SYSTEM}"})
    assert there.sees(root / name) is is_seen


# -- what an agent could try ---------------------------------------------------------------------------


def test_a_link_that_an_agent_left_opens_nothing(place, home):
    """I8: in a folder on PATH, as the program itself, and as an argument."""
    folder = place.confinement().workspace / "bin"
    folder.mkdir()
    (home / "private").mkdir()
    (home / "private" / "secret").write_text(SECRET)
    (folder / "tool").symlink_to(home / "private" / "secret")
    (home / "private" / "secret").chmod(0o755)
    there = replace(place, env={"PATH": f"{folder}:{SYSTEM}"})
    assert not there.sees(home / "private" / "secret")
    for argv in (("tool",), ("./bin/tool",), (str(folder / "tool"),)):
        end = there.run(argv).end
        assert end.kind is EndKind.NOT_STARTED
        assert f"at {home / 'private' / 'secret'}" in end.detail
    assert SECRET not in there.run(("cat", str(folder / "tool"))).out


def test_an_environment_that_an_agent_forged_opens_nothing(place, home):
    """I8."""
    venv = place.confinement().workspace / ".venv"
    (venv / "bin").mkdir(parents=True)
    (home / "private" / "bin").mkdir(parents=True)
    (home / "private" / "bin" / "secret").write_text(SECRET)
    (venv / "pyvenv.cfg").write_text(f"home = {home / 'private' / 'bin'}\n")
    program(venv / "bin" / "tool", f"#!{home / 'private' / 'bin' / 'secret'}\n")
    there = replace(place, env={"PATH": f"{venv / 'bin'}:{SYSTEM}", "VIRTUAL_ENV": str(venv)})
    assert not there.sees(home / "private" / "bin" / "secret")
    assert there.run(("tool",)).end.kind is EndKind.NOT_STARTED


@pytest.mark.parametrize("kind", ["bwrap", "landlock", "none"])
def test_a_library_that_an_agent_left_is_loaded_by_its_program_only(tmp_path, kind):
    """I8: not by the launcher and not by bubblewrap, which run outside the sandbox."""
    place = Place(folder=tmp_path, sandbox=sandbox_of(kind))
    folder = place.confinement().workspace / "lib"
    folder.mkdir()
    loader = {"LD_LIBRARY_PATH": str(folder), "LD_DEBUG": "files", "GCONV_PATH": str(folder)}
    there = replace(place, env=loader)
    done = there.run("echo $LD_LIBRARY_PATH $GCONV_PATH", stderr=tmp_path / "loaded")
    assert done.out == f"{folder} {folder}\n"
    loaded = (tmp_path / "loaded").read_text(errors="replace")  # the loader tells what it loads, and for whom
    assert "initialize program: sh" in loaded
    assert "python" not in loaded
    assert "bwrap" not in loaded
    bare = asyncio.run(run(replace(there.spec("true", stderr=tmp_path / "e"), argv=("sh", "-c", "echo $GCONV_PATH"))))
    assert (bare.code, there.out.read_text()) == (0, f"{folder}\n")


# -- what is told --------------------------------------------------------------------------------------


def test_a_program_that_the_sandbox_hides_is_named_with_the_next_step(place, home):
    path = program(home / "hidden" / "tool")
    (place.confinement().workspace / "tool").symlink_to(path)
    why = place.sandbox.explain("./tool", place.confinement())
    assert why == (f"The sandbox hides ./tool at {path}: put its folder on PATH or list it under `read` in [sandbox].")
    assert place.run(("./tool",)).end.detail == why
    assert replace(place, readable=(path.parent,)).run(("./tool",)).out == "it works\n"


def test_the_best_sandbox_that_works_is_chosen():
    found = asyncio.run(choose("auto"))
    assert found.announcement.endswith(".")
    kinds = ["bwrap", "landlock", "none"]
    for better in kinds[: kinds.index(found.sandbox.kind)]:
        with pytest.raises(UserError):
            asyncio.run(choose(better))
    assert len(found.problems) == kinds.index(found.sandbox.kind)


def test_it_is_found_out_once_per_process():
    first, second = asyncio.run(choose("auto")), asyncio.run(choose("auto"))
    assert first.sandbox is second.sandbox


def test_without_bubblewrap_the_next_one_is_taken_and_the_reason_told(monkeypatch, tmp_path):
    for name in ("true", "sh", "cat"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(choice, "_known", {})
    found = asyncio.run(choose("auto"))
    assert not isinstance(found.sandbox, Bubblewrap)
    assert found.problems[0] == ("bubblewrap is not installed: install the package `bubblewrap` (it provides `bwrap`).")
    if isinstance(found.sandbox, Landlock):
        assert found.announcement.startswith(f"Sandbox: Landlock ABI {found.sandbox.abi}")
    with pytest.raises(UserError, match="is not installed"):
        asyncio.run(choose("bwrap"))


def test_a_bubblewrap_that_does_not_work_is_not_taken(monkeypatch, tmp_path):
    program(tmp_path / "bwrap", "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2; exit 1\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{PATH}")
    monkeypatch.setattr(choice, "_known", {})
    with pytest.raises(UserError, match=r"uid map: Permission denied\. Allow unprivileged user"):
        asyncio.run(choose("bwrap"))


def test_a_bubblewrap_that_confines_nothing_is_not_taken(monkeypatch, tmp_path):
    script = '[ "$1" = --help ] && exit 0; while [ "$1" != -- ]; do shift; done; shift; exec "$@"'
    program(tmp_path / "bwrap", f"#!/bin/sh\n{script}\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{PATH}")
    monkeypatch.setattr(choice, "_known", {})
    with pytest.raises(UserError, match="files that it should hide can be read"):
        asyncio.run(choose("bwrap"))


def test_a_sandbox_that_cannot_be_made_is_no_failure_of_the_program(tmp_path):
    place = Place(folder=tmp_path, sandbox=replace(sandbox_of("bwrap"), program="/no/bwrap"))  # type: ignore[type-var]
    end = place.run("true").end
    assert (end.kind, end.detail) == (
        EndKind.NOT_STARTED,
        "The program /no/bwrap does not exist: install it or name it by its full path.",
    )
    good = Place(folder=tmp_path, sandbox=sandbox_of("bwrap"))
    spec = good.spec("true")
    spoilt = tuple("/no/such/place" if word == str(good.workspace) else word for word in spec.argv)
    end = asyncio.run(run(replace(spec, argv=spoilt)))
    assert end.kind is EndKind.NOT_STARTED
    assert end.detail.startswith("The sandbox could not be made: Can't find source path /no/such/place")
    assert good.run("echo 'bwrap: not me'; echo more; exit 1").end.kind is EndKind.EXITED


def test_no_sandbox_is_announced_loudly():
    found = asyncio.run(choose("none"))
    assert isinstance(found.sandbox, NoSandbox)
    assert found.announcement.startswith("SANDBOX: NONE.")
    assert "Every agent can read and change whatever you can" in found.announcement


def test_an_unknown_sandbox_is_a_mistake_of_the_user():
    with pytest.raises(UserError, match="expected one of auto, bwrap, landlock, none"):
        asyncio.run(choose("docker"))


def test_programs_are_named_as_they_were(place):
    assert place.sandbox.wrap(("true", "a b", "-c"), place.confinement())[-3:] == ("true", "a b", "-c")
