"""Files that a task declares and git ignores: they are part of the work (SPEC 3.7.1)."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence

from chargehand.adapters.git.raw import path_text
from chargehand.adapters.git.work import FILES, WorkTree
from chargehand.domain import scope
from chargehand.domain.seal_rules import counts, named_paths, samples

__all__ = ["declared_files"]


async def declared_files(tree: WorkTree, declared: Sequence[str], known: Collection[bytes]) -> set[bytes]:
    """The ignored files of a workspace that the patterns mean, beyond those that are known to count."""
    kinds = {path: tree.kind(os.fsencode(path)) for path in named_paths(declared)}
    files = {os.fsencode(path) for path, kind in kinds.items() if kind in FILES} - set(known)
    made_up = samples(declared, [path for path, kind in kinds.items() if kind == stat.S_IFDIR])
    if not files and not made_up:
        return set()
    # A file that is not ignored would be known, unless it is tracked and unchanged.
    ignored = await tree.are_ignored([*files, *(os.fsencode(path) for path in made_up)])
    globs = [spec for path, spec in made_up.items() if os.fsencode(path) in ignored]
    texts = {path: path_text(path) for path in (await tree.ignored(globs) if globs else ())}
    fitting = {path for path, text in texts.items() if scope.matches(declared, text)}
    return (files & ignored) | {path for path in fitting if counts(declared, texts[path])}
