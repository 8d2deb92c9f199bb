"""Git directories that we write ourselves: the runtime's own, and the skeleton an agent works with.

The runtime's git directory lies outside the workspace and holds a configuration no agent can reach, so
nothing an agent writes is ever executed (SPEC 3.7.1, I8). The skeleton `workspace/.git` is written without
running git, and is thrown away at the next acquire: nothing planted in it lives on.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from chargehand.adapters.git.refs import ref_safe

__all__ = ["agent_directory", "own_directory", "write_atomically"]

_COPIED = {
    "core.autocrlf": ("true", "false", "input"),
    "core.eol": ("lf", "crlf", "native"),
    "core.filemode": ("true", "false"),
    "core.symlinks": ("true", "false"),
    "core.ignorecase": ("true", "false"),
    "core.precomposeunicode": ("true", "false"),
}
# `core.trustctime` and `core.checkStat` are not: weaker, they would let an agent hide a change behind a forged time.
_SAME = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one step; the folder must exist."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.new")
    aside.write_bytes(data)
    aside.replace(path)


def own_directory(
    git_dir: Path,
    config: Mapping[str, str],
    object_format: str,
    *,
    work: Path | None,
    shallow: Path,
    exclude: bytes = b"",
    attributes: bytes = b"",
) -> None:
    """Write, or bring up to date, a git directory of the runtime's own; `work` None makes it bare."""
    for folder in ("info", "objects", "refs"):
        (git_dir / folder).mkdir(parents=True, exist_ok=True)
    lines = _core(config, object_format, bare=work is None)
    # An agent's object folder may be read: nothing that merely claims something about objects is believed.
    lines += ["[core]", "\tcommitGraph = false", "\tmultiPackIndex = false", "\tsafecrlf = false"]
    lines += ["[index]", "\tthreads = true", "[advice]", "\tobjectNameWarning = false"]
    _keep(git_dir / "config", "".join(f"{line}\n" for line in lines).encode())
    _keep(git_dir / "info" / "exclude", exclude)
    _keep(git_dir / "info" / "attributes", attributes)
    if not (git_dir / "HEAD").exists():
        write_atomically(git_dir / "HEAD", b"ref: refs/heads/none\n")
    _copy_shallow(shallow, git_dir)


def agent_directory(
    git_dir: Path,
    config: Mapping[str, str],
    object_format: str,
    *,
    branch: str,
    commit: str,
    objects: Path,
    person: tuple[str, str],
    packed_refs: bytes,
    shallow: Path,
    index: Path,
    exclude: bytes,
    attributes: bytes,
    extra: Sequence[str] = (),
) -> None:
    """Write the skeleton an agent's git works with; `git_dir` must not exist."""
    for folder in ("info", "objects/info", "objects/pack", "refs/heads", "refs/tags", "hooks"):
        (git_dir / folder).mkdir(parents=True)
    lines = _core(config, object_format, bare=False)
    lines += ["[user]", f"\tname = {_quoted(person[0])}", f"\temail = {_quoted(person[1])}"]
    # With threads asked for, git notes in the index what `tree_of_index` reads.
    lines += ["[index]", "\tthreads = true", "[gc]", "\tauto = 0", "[maintenance]", "\tauto = false", *extra]
    (git_dir / "config").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    (git_dir / "info" / "exclude").write_bytes(exclude)
    if attributes:
        (git_dir / "info" / "attributes").write_bytes(attributes)
    (git_dir / "objects" / "info" / "alternates").write_bytes(os.fsencode(objects) + b"\n")
    (git_dir / "packed-refs").write_bytes(packed_refs)
    branch = ref_safe(branch)
    ref = git_dir / "refs" / "heads" / branch
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(f"{commit}\n", encoding="ascii")
    (git_dir / "HEAD").write_text(f"ref: refs/heads/{branch}\n", encoding="utf-8")
    _copy_shallow(shallow, git_dir)
    shutil.copyfile(index, git_dir / "index")


def _core(config: Mapping[str, str], object_format: str, *, bare: bool) -> list[str]:
    sha256 = object_format == "sha256"
    lines = ["[core]", f"\trepositoryformatversion = {1 if sha256 else 0}", f"\tbare = {str(bare).lower()}"]
    for key, allowed in _COPIED.items():
        value = _SAME.get(config.get(key, "").lower(), config.get(key, "").lower())
        if value in allowed:
            lines.append(f"\t{key.partition('.')[2]} = {value}")
    if sha256:
        lines += ["[extensions]", "\tobjectFormat = sha256"]
    return lines


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _keep(path: Path, data: bytes) -> None:
    try:
        if path.read_bytes() == data:
            return
    except FileNotFoundError:
        pass
    write_atomically(path, data)


def _copy_shallow(source: Path, git_dir: Path) -> None:
    try:
        _keep(git_dir / "shallow", source.read_bytes())
    except FileNotFoundError:
        (git_dir / "shallow").unlink(missing_ok=True)
