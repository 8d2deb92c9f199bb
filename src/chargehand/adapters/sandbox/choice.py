"""Chooses the first sandbox that works on this machine, by trying it (SPEC 7.1)."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import shutil
import tempfile
from pathlib import Path

from chargehand.adapters.process import capture
from chargehand.adapters.process.paths import is_there
from chargehand.adapters.process.restrict import SCOPE_ABI, abi
from chargehand.adapters.sandbox.bwrap import Bubblewrap
from chargehand.adapters.sandbox.landlock import Landlock
from chargehand.adapters.sandbox.none import NoSandbox
from chargehand.adapters.sandbox.values import Confinement, Sandbox, SandboxChoice
from chargehand.domain.errors import AdapterError, UserError

__all__ = ["choose"]

KINDS = ("auto", "bwrap", "landlock", "none")
PROBE_TIMEOUT_S = 10.0
WARNING = "SANDBOX: NONE. Every agent can read and change whatever you can: your files, your keys, other programs."
_known: dict[str, SandboxChoice | str] = {}


async def choose(wanted: str) -> SandboxChoice:
    """The sandbox `wanted`, or for `auto` the first of bubblewrap, Landlock and none that works.

    Each is tried once per process, for real: a program is confined and must not be able to read a file next to
    its workspace. UserError for an unknown kind and for a wanted one that does not work here.
    """
    if wanted not in KINDS:
        raise UserError(f"Unknown sandbox {wanted!r}: expected one of {', '.join(KINDS)}.", code="sandbox")
    problems: list[str] = []
    for kind in ("bwrap", "landlock") if wanted == "auto" else (wanted,):
        found = await _try(kind)
        if isinstance(found, str):
            problems.append(found)
        else:
            return SandboxChoice(sandbox=found.sandbox, announcement=found.announcement, problems=tuple(problems))
    if wanted != "auto":
        raise UserError(problems[0], code="sandbox", hint="Choose another one with --sandbox, or `auto`.")
    step = "`chargehand doctor` tells why" if shutil.which("bwrap") else "Install bubblewrap to change that"
    return SandboxChoice(sandbox=NoSandbox(), announcement=f"{WARNING} {step}.", problems=tuple(problems))


async def _try(kind: str) -> SandboxChoice | str:
    if kind not in _known:
        _known[kind] = await {"bwrap": _try_bwrap, "landlock": _try_landlock, "none": _take_none}[kind]()
    return _known[kind]


async def _take_none() -> SandboxChoice | str:
    return SandboxChoice(sandbox=NoSandbox(), announcement=WARNING)


async def _try_bwrap() -> SandboxChoice | str:
    program = shutil.which("bwrap")
    if program is None:
        return "bubblewrap is not installed: install the package `bubblewrap` (it provides `bwrap`)."
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    try:
        told = await capture([program, "--help"], cwd=Path("/"), env=environment, timeout_s=PROBE_TIMEOUT_S)
    except AdapterError as error:
        return f"bubblewrap does not work here: {error.message}"
    text = (told.stdout + told.stderr).decode(errors="replace")
    scopes = _abi() >= SCOPE_ABI
    why = ""
    for scoped in (True, False) if scopes else (False,):
        sandbox = Bubblewrap(
            program=program, scopes=scoped, has_size="--size BYTES" in text, has_perms="--perms OCTAL" in text
        )
        why = await _why_not(sandbox)
        if not why:
            note = "" if scoped else "; abstract sockets of other programs stay reachable"
            return SandboxChoice(sandbox=sandbox, announcement=f"Sandbox: bubblewrap{note}.")
    return f"bubblewrap ({program}) does not work here: {why} {_hint(why)}"


def _hint(why: str) -> str:
    if re.search(r"uid map|user namespace|Permission denied|Operation not permitted|new namespace", why):
        return (
            "Allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, or on Ubuntu an AppArmor "
            "profile for bwrap that allows `userns`)."
        )
    return "Try `bwrap --ro-bind / / true` by hand."


async def _try_landlock() -> SandboxChoice | str:
    version = _abi()
    if version == 0:
        return "Landlock is not available: it needs Linux 5.13 with `landlock` among the security modules (lsm=…)."
    sandbox = Landlock(abi=version)
    why = await _why_not(sandbox)
    if why:
        return f"Landlock (ABI {version}) does not work here: {why}"
    limits = ["sockets with a path stay reachable"]
    if version < SCOPE_ABI:
        limits.append("abstract sockets and signals, too")
    return SandboxChoice(
        sandbox=sandbox,
        announcement=f"Sandbox: Landlock ABI {version}; /tmp is closed, not private; {', '.join(limits)}.",
    )


def _abi() -> int:
    try:
        return abi(ctypes.CDLL(None, use_errno=True))
    except (OSError, AttributeError):
        return 0


async def _why_not(sandbox: Sandbox) -> str:
    """Confine a shell that tries to read a file it must not see; why that went wrong, or an empty string."""
    with tempfile.TemporaryDirectory(prefix="chargehand-probe-") as name:
        folder = await asyncio.to_thread(_probe_folder, Path(name))
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        confinement = Confinement(workspace=folder, hidden=(folder.parent,), env=environment)
        argv = sandbox.wrap(("sh", "-c", "! cat ../secret 2>&1 && : > made || exit 99"), confinement)
        try:
            done = await capture(argv, cwd=folder, env=environment, timeout_s=PROBE_TIMEOUT_S)
        except AdapterError as error:
            return error.message
        if done.code == 99:
            return "it starts, but files that it should hide can be read, or its workspace cannot be written."
        if done.code != 0:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            return f"{lines[-1].strip().rstrip('.')}." if lines else f"it ended with {done.code}."
        return "" if is_there(folder / "made") else "what is written in the workspace does not arrive."


def _probe_folder(folder: Path) -> Path:
    (folder / "secret").write_text("secret\n")
    (folder / "workspace").mkdir()
    return folder / "workspace"
