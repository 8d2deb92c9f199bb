"""Landlock rules and capabilities, taken on by the launcher's child before it becomes the program.

Loaded by `launcher.py` without the rest of Chargehand, only when an option asks for it:
`--read=PATH --write=PATH --device=PATH` allow (everything else is then refused), `--no-tcp` refuses TCP,
`--scope=abstract|signal` keeps to sockets and processes of the sandbox, `--capabilities=N,N` keeps only those.
Numbers are those of the kernel's uapi headers (landlock.h, prctl.h, capability.h).
"""

import ctypes
import os
import stat

__all__ = ["abi", "apply", "is_asked"]

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
GET_VERSION = 1
RULE_PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
READING = EXECUTE | READ_FILE | READ_DIR
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
FS_BITS_BY_ABI = (0, 13, 14, 15, 15, 16)
NET_BITS = 0b11
SCOPES = {"abstract": 1 << 0, "signal": 1 << 1}
NET_ABI, SCOPE_ABI = 4, 6

PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 24, 47, 4
CAPABILITY_VERSION_3 = 0x20080522
MOST_CAPABILITIES = 64
PREFIXES = ("--read=", "--write=", "--device=", "--no-tcp", "--scope=", "--capabilities=")


class _RulesetAttr(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathAttr(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def is_asked(option: str) -> bool:
    """Whether an option of the launcher is one of ours."""
    return option.startswith(PREFIXES)


def abi(libc: ctypes.CDLL) -> int:
    """The Landlock ABI of this kernel, 0 when it has none or it is switched off."""
    return max(0, _syscall(libc, CREATE_RULESET, None, 0, GET_VERSION, may_fail=True))


def apply(options: "list[str]", libc: ctypes.CDLL) -> None:
    """Take on what the options ask for, as far as the kernel has it; OSError when it refuses."""
    version = abi(libc)
    grants = [option.partition("=") for option in options if option.startswith(("--read=", "--write=", "--device="))]
    scoped = sum(SCOPES[option[8:]] for option in options if option.startswith("--scope="))
    ruleset = _RulesetAttr(
        fs=(1 << FS_BITS_BY_ABI[min(version, len(FS_BITS_BY_ABI) - 1)]) - 1 if grants else 0,
        net=NET_BITS if "--no-tcp" in options and version >= NET_ABI else 0,
        scoped=scoped if version >= SCOPE_ABI else 0,
    )
    if ruleset.fs or ruleset.net or ruleset.scoped:
        size = 24 if version >= SCOPE_ABI else 16 if version >= NET_ABI else 8
        descriptor = _syscall(libc, CREATE_RULESET, ctypes.byref(ruleset), size, 0)
        for name, _, path in grants:
            _allow(libc, descriptor, name, path, ruleset.fs)
        _restrict(libc, descriptor, bool(grants))
    for option in options:
        if option.startswith("--capabilities="):
            _keep_capabilities(libc, {int(number) for number in option[15:].split(",") if number})


def _restrict(libc: ctypes.CDLL, descriptor: int, for_good: bool) -> None:
    # bubblewrap may need its set-uid bit, so scopes alone must not cost it where the kernel can do without.
    if for_good or os.geteuid() != 0:
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _syscall(libc, RESTRICT_SELF, descriptor, 0, 0)
    os.close(descriptor)


def _allow(libc: ctypes.CDLL, ruleset: int, name: str, path: str, handled: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # it went away: nothing to allow
    try:
        allowed = {
            "--read": READING,
            "--write": ~0 & ~IOCTL_DEV,
            "--device": READING | WRITE_FILE | TRUNCATE | IOCTL_DEV,
        }[name]
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            allowed &= ON_FILES
        attr = _PathAttr(allowed=allowed & handled, parent=place)
        _syscall(libc, ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.byref(attr), 0)
    finally:
        os.close(place)


def _keep_capabilities(libc: ctypes.CDLL, kept: "set[int]") -> None:
    for number in range(MOST_CAPABILITIES):
        if number not in kept:
            libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    low, high = (sum(1 << (number - base) for number in kept if base <= number < base + 32) for base in (0, 32))
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    # Effective, permitted, inheritable; the low words of all three, then the high ones.
    data = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _syscall(libc: ctypes.CDLL, number: int, *args: object, may_fail: bool = False) -> int:
    words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = int(libc.syscall(ctypes.c_long(number), *words))
    if result < 0 and not may_fail:
        raise OSError(ctypes.get_errno(), f"landlock: {os.strerror(ctypes.get_errno())}")
    return result
