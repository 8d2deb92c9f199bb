"""Partial clones: what a commit needs is fetched once, by the user's own git and credentials.

Our git directories know no remote, so nothing is fetched behind anybody's back in the middle of a run.
"""

from __future__ import annotations

from chargehand.adapters.git.repository import Repository
from chargehand.domain.errors import AdapterError, UserError

__all__ = ["complete"]

_ROUNDS = 100  # each one brings the next level of folders at least


async def complete(repository: Repository, commit: str) -> bool:
    """Fetch the objects of a commit that a partial clone lacks; False when there was nothing to fetch.

    UserError when they cannot be had.
    """
    remote = repository.promisor
    if remote is None:
        return False
    for done in range(_ROUNDS):
        missing = await _missing(repository, commit)
        if not missing:
            return done > 0
        flags = ("--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none", "--stdin")
        git = repository.git_as_user()
        feed = "".join(f"{oid}\n" for oid in missing).encode()
        try:
            await git.run("-c", "fetch.negotiationAlgorithm=noop", "fetch", "-q", remote, *flags, stdin=feed)
        except AdapterError as error:
            break_off = error.message
            break
    else:
        break_off = "objects are still missing after many attempts"
    raise UserError(
        f"This is a partial clone, and {len(missing)} objects of {commit[:12]} are missing: {break_off}.",
        code="partial_clone",
        hint=f"Fetch them while you are online: `git fetch --refetch {remote}`, or use a full clone.",
    )


async def _missing(repository: Repository, commit: str) -> list[str]:
    args = ("--objects", "--no-walk", "--missing=print", "--no-object-names")
    got = await repository.git().run("rev-list", *args, commit)
    return [line[1:] for line in got.stdout.decode("ascii").split("\n") if line.startswith("?")]
