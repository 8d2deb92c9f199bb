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
from pathlib import Path
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

    tarfile's `data` filter refuses what would leave the folder, links out of it and devices.
    """
    with tarfile.open(file) as archive:
        members = archive.getmembers()
        if sum(member.size for member in members) > _MOST_BYTES:
            raise ValueError(f"{file.name} unpacks to more than {_MOST_BYTES // 1024**2} MiB.")
        archive.extractall(folder, members, filter="data")
    tops = list(folder.iterdir())
    if len(tops) != 1 or not tops[0].is_dir():
        raise ValueError(f"{file.name} does not hold exactly one folder.")
    return tops[0]
