"""Whether commits that somebody names are part of another one."""

from __future__ import annotations

from collections.abc import Iterable

from chargehand.adapters.git.command import Git

__all__ = ["why_absent"]


async def why_absent(git: Git, base: str, names: Iterable[str], *, is_shallow: bool = False) -> dict[str, str]:
    """For each name that is not a commit of `base`'s history, why: the end of a sentence.

    `names` are hashes, abbreviated or not; branches and tags of such a name do not count. Of what a shallow repository
    does not have nothing can be said.
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return {}
    asked = b"".join(f"{name}^{{commit}}\n".encode() for name in wanted)
    listed = (await git.run("cat-file", "--batch-check", stdin=asked)).stdout.decode("utf-8", "replace")
    known: dict[str, str] = {}
    for name, line in zip(wanted, listed.split("\n"), strict=False):
        oid, _, rest = line.partition(" ")
        if rest.startswith("commit ") and oid.startswith(name):
            known[name] = oid
    why = {name: "no single commit has that hash" for name in wanted if name not in known and not is_shallow}
    if not known:
        return why
    oids = "".join(f"{oid}\n" for oid in known.values()).encode()
    apart = (await git.run("rev-list", "--stdin", f"^{base}", stdin=oids)).stdout.decode("ascii", "replace")
    elsewhere = set(apart.split())
    return why | {name: "the base does not have that commit" for name, oid in known.items() if oid in elsewhere}
