"""Source distributions: found and fetched through pip's own index access, unpacked without running any of them.

`pip download` would do the finding too, but it runs the build backend of what it downloaded to read its metadata.
So only pip's finder and its session are used: index, mirrors, proxies, certificates and logins are those of its
configuration. They are no public interface of pip; this works with pip 22 to 25.
"""

from __future__ import annotations

import hashlib
import logging
import tarfile
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

__all__ = ["Fetched", "fetch", "local", "unpack"]

_MOST_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A source distribution on disk; `sha256` is that of the file."""

    name: str
    file: Path
    version: str
    sha256: str


def fetch(requirement: str, folder: Path) -> Fetched:
    """Download the source distribution of `NAME` or `NAME==VERSION`; LookupError where there is none."""
    from pip._internal.commands import create_command

    logging.getLogger("pip").setLevel(logging.ERROR)
    command: Any = create_command("download")
    options, _ = command.parse_args(["--quiet", "--no-deps", "--no-binary", ":all:", requirement])
    with command.main_context():
        session = command.get_default_session(options)
        finder = command._build_package_finder(options=options, session=session)
        found = _best(finder, requirement)
        answer = session.get(found.link.url_without_fragment, headers={"Accept-Encoding": "identity"})
        answer.raise_for_status()
        data: bytes = answer.content
    link = found.link
    if link.hash_name and hashlib.new(link.hash_name, data).hexdigest() != link.hash:
        raise LookupError(f"{requirement}: {link.filename} is not what the index says it is ({link.hash_name}).")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / Path(link.filename).name
    file.write_bytes(data)
    return Fetched(name=str(found.name), file=file, version=str(found.version), sha256=hashlib.sha256(data).hexdigest())


def local(path: str, folder: Path) -> Fetched:
    """A source distribution that is here already."""
    source = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / source.name
    file.write_bytes(source.read_bytes())
    name, _, version = source.name.removesuffix(".tar.gz").rpartition("-")
    return Fetched(name=name, file=file, version=version, sha256=hashlib.sha256(file.read_bytes()).hexdigest())


def _best(finder: Any, requirement: str) -> Any:
    from pip._internal.req.constructors import install_req_from_line

    wanted = install_req_from_line(requirement)
    best = finder.find_best_candidate(wanted.name, wanted.specifier).best_candidate
    if best is None:
        raise LookupError(f"The package index has no source distribution of {requirement}.")
    if not best.link.filename.endswith(".tar.gz"):
        raise LookupError(f"{requirement}: {best.link.filename} is no .tar.gz, which is all that is unpacked here.")
    return best


def unpack(file: Path, folder: Path) -> Path:
    """Unpack below `folder`; answers with the one folder that a source distribution holds.

    ValueError where a name or a link leaves the folder, for hard links and for devices: the filter of tarfile itself
    is not in every Python 3.11.
    """
    with tarfile.open(file) as archive:
        members = archive.getmembers()
        _refuse_strange(members)
        if sum(member.size for member in members) > _MOST_BYTES:
            raise ValueError(f"{file.name} unpacks to more than {_MOST_BYTES // 1024**2} MiB.")
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder, members)
    tops = list(folder.iterdir())
    if len(tops) != 1 or not tops[0].is_dir():
        raise ValueError(f"{file.name} does not hold exactly one folder.")
    return tops[0]


def _refuse_strange(members: list[tarfile.TarInfo]) -> None:
    """Names and links stay inside, also when links lead to links: nothing lies below one, `..` only begins one."""
    links = {PurePosixPath(member.name) for member in members if member.issym()}
    for member in members:
        path = PurePosixPath(member.name)
        if not (member.isfile() or member.isdir() or member.issym()):
            raise ValueError(f"{member.name} is neither a file nor a folder.")
        target = PurePosixPath(member.linkname if member.issym() else "")
        up = sum(1 for _ in takewhile(lambda part: part == "..", target.parts))
        leaves = path.is_absolute() or target.is_absolute() or ".." in (*path.parts, *target.parts[up:])
        if leaves or up >= len(path.parts) or links.intersection(path.parents):
            raise ValueError(f"{member.name} leaves the folder that the archive is unpacked in.")
        member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
