"""What a confined program can reach, and what it cannot (SPEC 7.1)."""

import asyncio
import json
import os
import pwd
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.adapters.process import EndKind, run
from chargehand.adapters.sandbox.bwrap import Bubblewrap
from chargehand.adapters.sandbox.landlock import Landlock
from chargehand.domain.errors import AdapterError
from tests.e2e.processes import ROOT, Place, sandbox_of

CONFINING = ("bwrap", "landlock")
SECRET = "the secret"


def base_folder(where: str, tmp_path: Path) -> Path:
    """Below /tmp everything is covered anyway; beside the sources only what has to be."""
    if where == "below /tmp":
        return tmp_path
    parent = ROOT / ".pytest_cache"
    parent.mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="reach é ", dir=parent))


@pytest.fixture(params=["below /tmp", "elsewhere"])
def base(request, tmp_path):
    folder = base_folder(request.param, tmp_path)
    yield folder
    if folder != tmp_path:
        shutil.rmtree(folder)


@pytest.fixture(params=CONFINING)
def sandbox(request):
    return sandbox_of(request.param)


@pytest.fixture
def home(base, monkeypatch):
    """A home with secrets, and a project in it."""
    home = base / "ho me é"
    for name in (".ssh/id_rsa", ".netrc", ".config/app/token", "project/app.py", "project/.git/config"):
        write(home / name)
    write(home / "project/.git/objects/ab/cdef")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return home


@pytest.fixture
def place(home, sandbox):
    """The workspace and the private folders inside the home, as they are by default."""
    state = home / ".local" / "state" / "chargehand"
    private = state / "attempt"
    for name in ("home", "tmp", "given"):
        (private / name).mkdir(parents=True)
    write(private / "given" / "brief.md")
    write(state / "other" / "secret")
    project = home / "project"
    return Place(
        folder=state,
        sandbox=sandbox,
        writable=(private / "home", private / "tmp"),
        readable=(private / "given", project / ".git" / "objects"),
        hidden=(project, project / ".git"),
        env={"HOME": str(private / "home"), "TMPDIR": str(private / "tmp")},
    )


def write(path: Path, text: str = SECRET) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# -- files ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".ssh/id_rsa", ".netrc", ".config/app/token", ".local/state/chargehand/other/secret"])
def test_secrets_in_the_home_cannot_be_read(place, home, name):
    assert (home / name).read_text() == SECRET
    assert not place.sees(home / name)


def test_the_home_of_the_password_database_cannot_be_read_either(place):
    real = Path(pwd.getpwuid(os.getuid()).pw_dir)
    files = [path for path in real.glob(".*") if path.is_file()] if real != Path("/") else []
    if not files:
        pytest.skip("NOT TESTED: this user's real home holds no file.")
    assert not place.sees(files[0])


def test_the_work_tree_and_its_git_folder_are_out_of_reach_but_for_the_objects(place, home):
    """I1, I8."""
    project = home / "project"
    assert not place.sees(project / "app.py")
    assert not place.sees(project / ".git" / "config")
    assert place.sees(project / ".git" / "objects" / "ab" / "cdef")
    listing = place.run(("ls", "-A", os.path.relpath(project, place.workspace)))
    assert "app.py" not in listing.out


def test_what_is_hidden_is_hidden_wherever_it_lies(sandbox, base):
    """Also when it is above the workspace, and when it is a file."""
    secret, above = write(base / "above" / "secret"), base / "above"
    file = write(base / "file")
    (base / "above" / "work space é").mkdir()
    place = Place(folder=above, sandbox=sandbox, hidden=(above, file))
    assert not place.sees(secret)
    assert not place.sees(file)
    done = place.run("echo written > result; cat result", stdout=base / "log")
    assert done.end.code == 0
    assert (place.workspace / "result").read_text() == "written\n"


def test_the_workspace_and_the_private_folders_can_be_written(place):
    script = 'echo a > made && echo b > "$HOME/made" && echo c > "$TMPDIR/made" && mv made "$HOME/moved"'
    assert place.run(script).end.code == 0
    assert [(folder / name).read_text() for folder, name in zip(place.writable, ("moved", "made"), strict=True)] == [
        "a\n",
        "c\n",
    ]


def test_nothing_else_can_be_written(place, home, base):
    """I8: an agent writes only in its workspace and its private folders."""
    outside = [
        home / ".ssh" / "authorized_keys",
        home / "project" / "app.py",
        home / "project" / ".git" / "objects" / "ab" / "cdef",
        place.readable[0] / "brief.md",
        place.folder / "other" / "secret",
        base / "new",
        Path("/etc/chargehand-test"),
        Path("/usr/bin/chargehand-test"),
        Path("/chargehand-test"),
    ]
    before = {path: path.read_text() if path.exists() else None for path in outside}
    words = [os.path.relpath(path, place.workspace) for path in outside]
    place.run(
        ("sh", "-c", 'for file; do mkdir -p "${file%/*}"; echo broken > "$file"; rm -f "$file"; done', "sh", *words)
    )
    assert {path: path.read_text() if path.exists() else None for path in outside} == before


def test_readable_folders_are_readable_only(place):
    done = place.run('cat "../attempt/given/brief.md"; echo x >> ../attempt/given/brief.md')
    assert done.out.startswith(SECRET)
    assert done.end.code != 0
    assert (place.readable[0] / "brief.md").read_text() == SECRET


def test_a_readable_folder_inside_the_workspace_stays_readable_only(place):
    write(place.confinement().workspace / "given" / "plan.md")
    inner = replace(place, readable=(place.workspace / "given",))
    done = inner.run("cat given/plan.md; echo ok > other; echo x >> given/plan.md || exit 7")
    assert (done.end.code, done.out.startswith(SECRET)) == (7, True)
    assert (place.workspace / "given" / "plan.md").read_text() == SECRET


def test_tmp_is_not_the_one_of_the_machine(sandbox, tmp_path):
    place = Place(folder=tmp_path, sandbox=sandbox)
    with tempfile.NamedTemporaryFile(dir="/tmp", prefix="secret-") as secret:
        assert not place.sees(Path(secret.name))
        made = f"{secret.name}.made"
        code = place.run(f"echo x > {made}").end.code
        assert not Path(made).exists()
        assert code == (0 if isinstance(sandbox, Bubblewrap) else 2)


def test_shared_memory_and_the_usual_devices_work(place):
    code = (
        "import multiprocessing as m, os; m.Lock(); os.urandom(3); open('/dev/null', 'w').write('x')\n"
        "print(open('/dev/zero', 'rb').read(2), len(os.listdir('/proc/self')) > 5)\n"
    )
    done = place.run((sys.executable, "-c", code))
    assert done.out == "b'\\x00\\x00' True\n"


def test_raw_devices_and_kernel_settings_are_out_of_reach(place):
    disks = [f"/dev/{line.split()[3]}" for line in Path("/proc/partitions").read_text().splitlines()[2:]]
    for disk in filter(os.path.exists, disks):
        assert place.run(("head", "-c", "1", os.path.relpath(disk, place.workspace))).end.code != 0
    settings = ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/mtrr", "/sys/kernel/mm/ksm/run"]
    for path in filter(os.path.exists, settings):
        assert place.run(f": >> {path}").end.code != 0  # opening for writing is what has to fail
    assert place.run("mkdir /sys/fs/cgroup/chargehand-test").end.code != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root owns such files.")
def test_root_reads_no_more_than_others_could(place):
    for name in ("/etc/shadow", "/etc/gshadow"):
        assert not place.sees(Path(name))
    assert "root:" not in place.run("cat /etc/shadow; cat /proc/kmsg").out
    assert "root:" not in place.run(("cat", "/etc/shadow")).out


def test_root_cannot_undo_the_mounts(home, tmp_path):
    place = Place(folder=tmp_path, sandbox=sandbox_of("bwrap"))
    script = (
        "umount /tmp; umount -l /tmp; mount -o remount,rw /; unshare -m umount /tmp; unshare -rm umount /tmp;"
        " unshare -rm mount -o remount,rw /; cat ../../../../../../../../tmp/secret-of-root"
    )
    with tempfile.NamedTemporaryFile(dir="/tmp", prefix="secret-", mode="w") as secret:
        secret.write(SECRET)
        secret.flush()
        done = place.run(script.replace("/tmp/secret-of-root", secret.name))
    assert SECRET not in done.out
    assert done.end.code != 0


def test_a_workspace_that_is_reached_over_a_link_is_there_under_both_names(sandbox, base, monkeypatch):
    monkeypatch.setenv("HOME", str(base))
    real = base / "real"
    real.mkdir()
    (base / "link").symlink_to("real")
    place = Place(folder=base / "link", sandbox=sandbox, writable=(base / "link",))
    place.confinement()
    done = place.run(f"cd '{place.workspace}' && echo x > made && cat '{real}/work space é/made'", stdout=real / "log")
    assert (done.end.code, (real / "log").read_text()) == (0, "x\n")


@pytest.mark.parametrize("value", ["/", "/nonexistent", "", "relative", "/usr"])
def test_an_odd_home_does_no_harm(sandbox, tmp_path, monkeypatch, value):
    monkeypatch.setenv("HOME", value)
    place = Place(folder=tmp_path, sandbox=sandbox)
    done = place.run("ls / >/dev/null 2>&1; echo x > made; cat made")
    assert (done.end.code, done.out) == (0, "x\n")
    assert not place.sees(write(tmp_path / "secret"))


def test_a_missing_writable_folder_is_an_error_and_a_missing_readable_one_is_not(place, base):
    assert replace(place, readable=(base / "missing",), hidden=(base / "missing",)).run("exit 3").end.code == 3
    with pytest.raises(AdapterError, match="does not exist"):
        replace(place, writable=(base / "missing",)).run("true")


# -- other processes -----------------------------------------------------------------------------------


def test_other_processes_can_neither_be_looked_into_nor_signalled(place, monkeypatch):
    if isinstance(place.sandbox, Landlock) and place.sandbox.abi < 6:
        pytest.skip("NOT TESTED: Landlock before ABI 6 has no scope for signals.")
    monkeypatch.setenv("CHARGEHAND_TEST_TOKEN", SECRET)
    me = os.getpid()
    received: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: received.append(1))
    try:
        done = place.run(f"cat /proc/{me}/environ /proc/{me}/cwd/pyproject.toml; kill -USR1 {me}")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert received == []
    assert done.end.code != 0
    assert SECRET not in done.out
    assert "[project]" not in done.out


def test_only_its_own_processes_are_seen_under_bubblewrap(tmp_path):
    place = Place(folder=tmp_path, sandbox=sandbox_of("bwrap"))
    pids = place.run("ls /proc | grep -c '^[0-9]'").out
    assert int(pids) <= 6


# -- sockets -------------------------------------------------------------------------------------------

CONNECT = "import json,socket,sys; s = socket.socket(socket.AF_UNIX); s.connect(json.loads(sys.argv[1])); print('in')"


def listening(address: str) -> closing[socket.socket]:
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    return closing(server)


def connects(place: Place, address: str) -> bool:
    done = place.run((sys.executable, "-c", CONNECT, json.dumps(address)))
    assert done.end.code in {0, 1}
    return done.out == "in\n"


@pytest.fixture
def short():
    """A folder that is covered by nothing, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="s-", dir=ROOT) as name:
        yield Path(name)


def test_sockets_with_a_path_are_out_of_reach(short, monkeypatch):
    """In the home, in the workspace and anywhere else; a socket that is asked for by name is not covered."""
    monkeypatch.setenv("HOME", str(short / "home"))
    place = Place(folder=short, sandbox=sandbox_of("bwrap"))
    for folder in (short / "home", place.confinement().workspace, short):
        folder.mkdir(exist_ok=True)
        address = str(folder / "s")
        with listening(address):
            assert connects(replace(place, sandbox=sandbox_of("none")), address)
            assert not connects(place, address)
            assert connects(replace(place, readable=(Path(address),)), address)


@pytest.mark.skipif(not os.access("/run", os.W_OK), reason="/run cannot be written by this user.")
def test_sockets_in_run_are_out_of_reach(tmp_path):
    place = Place(folder=tmp_path, sandbox=sandbox_of("bwrap"))
    address = f"/run/chargehand-test-{os.getpid()}"
    with listening(address):
        try:
            assert connects(replace(place, sandbox=sandbox_of("none")), address)
            assert not connects(place, address)
        finally:
            Path(address).unlink()


def test_abstract_sockets_of_others_are_out_of_reach_and_own_ones_work(place):
    scoped = place.sandbox.scopes if isinstance(place.sandbox, Bubblewrap) else place.sandbox.abi >= 6
    if not scoped:
        pytest.skip("NOT TESTED: this kernel's Landlock has no scope for abstract sockets.")
    address = f"\0chargehand-test-{os.getpid()}"
    with listening(address):
        assert connects(replace(place, sandbox=sandbox_of("none")), address)
        assert not connects(place, address)
    code = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.bind(chr(0) + 'own'); s.listen()\n"
        "c = socket.socket(socket.AF_UNIX); c.connect(chr(0) + 'own'); print('in')\n"
    )
    assert place.run((sys.executable, "-c", code)).out == "in\n"


# -- network -------------------------------------------------------------------------------------------

REACH = "import socket,sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5).close(); print('in')"


def test_the_network_is_open_or_closed_as_asked(place):
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        argv = (sys.executable, "-c", REACH, str(server.getsockname()[1]))
        assert place.run(argv).out == "in\n"
        closed = replace(place, network="none").run(argv)
        assert closed.end.code == 1
        assert "in\n" not in closed.out.splitlines(keepends=True)


def test_loopback_of_its_own_works_without_a_network_under_bubblewrap(tmp_path):
    code = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); "
        "socket.create_connection(s.getsockname()).close(); print('in')"
    )
    place = Place(folder=tmp_path, sandbox=sandbox_of("bwrap"), network="none")
    assert place.run((sys.executable, "-c", code)).out == "in\n"


def test_landlock_without_network_rules_refuses_rather_than_leave_the_network_open(tmp_path):
    place = Place(folder=tmp_path, sandbox=Landlock(abi=3), network="none")
    end = place.run("true").end
    assert end.kind is EndKind.NOT_STARTED
    assert "install bubblewrap" in end.detail


# -- nesting -------------------------------------------------------------------------------------------


def test_a_program_can_make_a_sandbox_of_its_own_inside(home, tmp_path):
    """Agents bring their own. Run as root the kernel refuses the inner one a /proc of its own."""
    place = Place(folder=tmp_path, sandbox=sandbox_of("bwrap"))
    proc = [] if os.geteuid() == 0 else ["--proc", "/proc", "--unshare-pid"]
    bwrap = shutil.which("bwrap") or ""
    argv = (bwrap, "--unshare-user", "--ro-bind", "/", "/", "--dev", "/dev", *proc, "--tmpfs", "/tmp", "echo", "nested")
    done = place.run(argv)
    assert (done.end.code, done.out) == (0, "nested\n")


def test_two_confined_programs_do_not_see_each_other(home, sandbox, base):
    first = Place(folder=base / "a", sandbox=sandbox)
    second = Place(folder=base / "b", sandbox=sandbox, hidden=(base / "a",))
    for place in (first, second):
        place.folder.mkdir()
        place.confinement()
    write(first.workspace / "secret")
    assert not second.sees(first.workspace / "secret")
    assert asyncio.run(both(first, second)) == [0, 0]


async def both(*places: Place) -> list[int | None]:
    ends = await asyncio.gather(*(run(place.spec("echo x > made; cat made")) for place in places))
    return [end.code for end in ends]
