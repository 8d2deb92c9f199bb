"""Runs one program and lets nothing of it live on. A script of its own: nothing here imports Chargehand.

    python -I -S launcher.py [--control=FD] [--OPTION[=VALUE] …] -- PROGRAM [ARGUMENT …]

It makes itself the subreaper of everything the program starts, so that a process which detaches becomes its
child instead of the machine's. It kills what is left when the program has ended, when the other end of the
control socket is closed (which the kernel does when Chargehand dies, however that came about) and when it is
told to by a signal. It forwards the exit status: the same code, or the same signal.

With `--exec` it becomes the program instead, which must be bubblewrap: that one holds its descendants in a pid
namespace, dies with its parent, and tells on the control socket what the first process in there is.

`--setenv=NAME=VALUE` adds to the environment, `--unset=NAME` takes away, `--refuse=TEXT` starts nothing and says
why, `--mark=NUMBER` marks this process and all below it (`marks.py`); the options that restrict the program are those
of `restrict.py`.

A byte that comes over the control socket is a signal for the program's group. The launcher tells one line there:
`exit CODE`, `signal NUMBER` or `failed ERRNO` (the program could not be executed), and `left PID …` for processes
that refused to be killed because they belong to somebody else.

Start-up time is paid for every process, therefore few imports and no annotations that need any.
"""

# ruff: noqa: PTH123, PTH208, S606
# (pathlib alone would double the start-up time)

import _signal  # type: ignore[import-not-found]  # what `signal` wraps in enums
import os
import select
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
RLIMIT_LOCKS = 10
NOT_EXECUTED = 127
ENDING_SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")


def main(args: list[str]) -> None:
    """Run the program named behind `--` and leave with its status."""
    end = args.index("--")
    options, argv = args[:end], args[end + 1 :]
    restrictions = []
    control = -1
    for option in options:
        if option.startswith("--control="):
            control = int(option[10:])
            os.set_inheritable(control, False)
        elif option.startswith("--setenv="):
            name, _, value = option[9:].partition("=")
            os.environ[name] = value
        elif option.startswith("--unset="):
            os.environ.pop(option[8:], None)
        elif option.startswith("--refuse="):
            os.write(2, os.fsencode(option[9:]) + b"\n")
            os._exit(NOT_EXECUTED)
        elif option.startswith("--mark="):
            _mark(int(option[7:]))
        elif option != "--exec":
            restrictions.append(option)
    libc = _libc()
    if "--exec" in options:
        _become(argv, restrictions, control, libc, 0)
    wake = _catch_signals()
    if libc is not None:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # type: ignore[attr-defined]
        libc.prctl(PR_SET_PDEATHSIG, int(_signal.SIGTERM), 0, 0, 0)  # type: ignore[attr-defined]
    if control >= 0 and _ended(control):
        os._exit(NOT_EXECUTED)
    me = os.getpid()
    child = os.fork()
    if child == 0:
        _become(argv, restrictions, control, libc, me)
    status = _watch(child, control, wake)
    if status is not None:
        _tell(control, status)
    last, left = _kill_all(child)
    if status is None:
        status = last
        _tell(control, status)
    if left:
        _say(control, "left " + " ".join(str(pid) for pid in left))
    _leave(status)


def _mark(number: int) -> None:
    """Put the number where every descendant inherits it, whatever it does to its environment and its session."""
    import resource

    try:
        resource.setrlimit(RLIMIT_LOCKS, (number, resource.getrlimit(RLIMIT_LOCKS)[1]))
    except (OSError, ValueError):
        return  # a lower hard limit, or no such limit: the environment has to do


def _catch_signals() -> int:
    """Every signal of interest only wakes the loop: the handlers do nothing."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    _signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for name in (*ENDING_SIGNALS, "SIGCHLD"):
        _signal.signal(getattr(_signal, name), _noop)
    return reader


def _noop(_number: int, _frame: object) -> None:
    """Wake the loop."""


def _libc() -> object:
    """The C library; ctypes is imported only where it is of use."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _ended(control: int) -> bool:
    poller = select.poll()
    poller.register(control, select.POLLIN)
    return bool(poller.poll(0))


def _become(argv: list[str], restrictions: list[str], control: int, libc: object, launcher: int) -> None:
    """Take the restrictions on and become the program; `launcher` is the pid of the one above, 0 without one."""
    number = 0
    try:
        # Ignored signals are inherited, those that Python ignores and those that our parents did.
        for name in (*ENDING_SIGNALS, "SIGCHLD", "SIGPIPE", "SIGXFSZ"):
            _signal.signal(getattr(_signal, name), _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        if libc is not None:
            libc.prctl(PR_SET_PDEATHSIG, int(_signal.SIGKILL), 0, 0, 0)  # type: ignore[attr-defined]
        if launcher:
            os.setsid()  # a program that signals its own group must not hit the launcher
        if os.getppid() != launcher if launcher else control >= 0 and _ended(control):
            os._exit(NOT_EXECUTED)  # orphaned before the death signal was asked for
        if not launcher and control >= 0:
            os.set_inheritable(control, True)
            argv[1:1] = ["--info-fd", str(control)]
        if restrictions:
            _restrict(restrictions, libc)
        number = _exec(argv)
    except OSError as error:
        number = error.errno or 0
    finally:
        if control < 0:
            os.write(2, os.fsencode(f"{argv[0]}: {os.strerror(number)}\n"))
        _say(control, f"failed {number}")
        os._exit(NOT_EXECUTED)


def _restrict(options: list[str], libc: object) -> None:
    sys.path.append(__file__.rpartition("/")[0])
    import restrict  # type: ignore[import-not-found]

    restrict.apply(options, libc)


def _exec(argv: list[str]) -> int:
    """Replace this process as execvp does; answers the error number when nothing could be executed."""
    if "/" in argv[0]:
        places = [argv[0]]
    else:
        places = [f"{place or '.'}/{argv[0]}" for place in os.environ.get("PATH", "/usr/bin:/bin").split(":")]
    number = 2  # ENOENT
    for place in places:
        try:
            os.execv(place, argv)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            number = error.errno or number
    return number


def _watch(child: int, control: int, wake: int) -> int | None:
    """Wait for the end of the program, or for the wish to end it (then None)."""
    poller = select.poll()
    poller.register(wake, select.POLLIN)
    if control >= 0:
        poller.register(control, select.POLLIN)
    while True:
        ready = [descriptor for descriptor, _ in poller.poll()]
        status = _reap(child)
        if status is not None:
            return status
        if control in ready:
            orders = os.read(control, 64)
            if not orders:
                return None
            for number in orders:
                _signal_group(child, number)
        if wake in ready and any(number != _signal.SIGCHLD for number in os.read(wake, 4096)):
            return None


def _signal_group(child: int, number: int) -> None:
    try:
        os.killpg(child, number)
    except OSError:
        return  # it has ended, or is not yet a group


def _reap(child: int) -> int | None:
    """Take the status of everything that has ended; answers that of the program."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status


def _kill_all(child: int) -> tuple[int, list[int]]:
    """Kill until nothing is left: (status of the program, processes that may not be killed).

    A process that a doomed one still forks becomes our child before its parent can be waited for, so looking
    again after each wait finds it.
    """
    found = 0
    refused: list[int] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0 and refused:
                return found, refused
            if pid == 0 and not (refused := _kill_below(child)):
                pid, status = os.waitpid(-1, 0)
        except ChildProcessError:
            return found, []
        if pid == child:
            found = status


def _kill_below(child: int) -> list[int]:
    """Kill everything below this process once; answers what may not be killed."""
    refused = []
    for pid in _descendants(child):
        try:
            os.kill(pid, _signal.SIGKILL)
        except ProcessLookupError:
            continue
        except PermissionError:
            refused.append(pid)
    return refused


def _descendants(child: int) -> list[int]:
    """All processes below this one, parents first; without /proc the group of the program."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return [-child]
    parents: dict[int, list[int]] = {}
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] not in (b"Z", b"X"):
            parents.setdefault(int(fields[1]), []).append(int(name))
    found = list(parents.get(os.getpid(), ()))
    for pid in found:
        found += parents.get(pid, ())
    return found


def _tell(control: int, status: int) -> None:
    if os.WIFSIGNALED(status):
        _say(control, f"signal {os.WTERMSIG(status)}")
    else:
        _say(control, f"exit {os.WEXITSTATUS(status)}")


def _say(control: int, text: str) -> None:
    if control >= 0:
        try:
            os.write(control, os.fsencode(text) + b"\n")
        except OSError:
            return  # nobody listens any more


def _leave(status: int) -> None:
    """End as the program did."""
    if os.WIFSIGNALED(status):
        import resource

        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if number not in (_signal.SIGKILL, _signal.SIGSTOP):
            _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.WEXITSTATUS(status))


if __name__ == "__main__":
    main(sys.argv[1:])
