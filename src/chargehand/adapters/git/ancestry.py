"""Whether commits that somebody names, or their changes, are part of another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chargehand.adapters.git.command import Git

__all__ = ["taken_over", "why_absent"]

_NAMELESS = ("--raw", "-z", "--no-abbrev", "--no-renames")


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


async def taken_over(git: Git, base: str, names: Iterable[str]) -> frozenset[str]:
    """Those of the commits `names` that are in `base`'s history, or whose whole change is, in whatever commits.

    A change is there when merging it would change nothing, or when each path of it had what it makes of that in some
    commit since the two parted: what became of it later is its owner's business. What cannot be looked up is not there.
    """
    return frozenset([name for name in dict.fromkeys(names) if await _is_taken_over(git, base, name)])


async def _is_taken_over(git: Git, base: str, name: str) -> bool:
    got = await git.run("merge-base", base, f"{name}^{{commit}}", ok=(0, 1, 128))
    fork = got.stdout.decode("ascii", "replace").strip()
    if got.code != 0:
        return False
    change = set(_blobs((await git.run("diff-tree", "-r", *_NAMELESS, fork, f"{name}^{{commit}}")).stdout))
    since = await git.run("log", "-m", "--format=", *_NAMELESS, f"{fork}..{base}", "--")
    if change <= set(_blobs(since.stdout)):
        return True
    merged = await git.run("merge-tree", "--write-tree", base, f"{name}^{{commit}}", ok=(0, 1, 128))
    tree = merged.stdout.decode("ascii", "replace").strip()
    return merged.code == 0 and tree == await git.text("rev-parse", f"{base}^{{tree}}")


def _blobs(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(path, object) of each change that git lists as `--raw -z`."""
    parts = iter(raw.split(b"\0"))
    for part in parts:
        if part.startswith(b":"):
            yield next(parts, b""), part.split(b" ")[3]
