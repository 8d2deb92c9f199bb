"""The syntax check of a job: in its checkout, or without one where the files can be read from the commit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from chargehand.adapters.folders import write_below
from chargehand.adapters.gating.parts import GateParts, Site
from chargehand.adapters.gating.runner import Runner
from chargehand.adapters.git import Repository
from chargehand.adapters.scrubbing import scrubbed
from chargehand.adapters.syntax import SyntaxReport, check_syntax, is_parsed, needs_tool
from chargehand.adapters.text import clean_text
from chargehand.domain.outcome import GateResult, GateStatus
from chargehand.ports import GateJob

__all__ = ["Syntax", "changed_paths"]

_DETAIL_LINES = 50
_TEXT_CHARS = 1_000_000


async def changed_paths(repository: Repository, base: str, commit: str) -> tuple[str, ...]:
    """The paths that `commit` has and `base` has not, or has otherwise; nothing of the checkout is looked at."""
    args = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--diff-filter=d", base, commit)
    got = await repository.plumbing().run(*args)
    return tuple(path.decode("utf-8", "surrogateescape") for path in got.stdout.split(b"\0") if path)


class Syntax:
    """Parses the files that a job's commit has otherwise than its base."""

    def __init__(self, parts: GateParts, job: GateJob, runner: Runner) -> None:
        self._parts = parts
        self._job = job
        self._runner = runner

    @property
    def is_due(self) -> bool:
        """Whether there is anything to parse."""
        return self._job.syntax and self._job.base != self._job.commit

    async def in_site(self, site: Site) -> GateResult:
        """Parse the files of a checkout; tools of the project look where they have to."""
        started = asyncio.get_running_loop().time()
        paths = await self._changed()
        report = await check_syntax(site.workspace.path, paths, partial(self._runner.ask_tool, site))
        return self._result(report, started)

    async def alone(self) -> GateResult | None:
        """Parse the changed files as the commit has them: a checkout would look at every file of the tree.

        None where it needs one: a tool has to look, a file is no plain text, or something is wrong and the project's
        own tools should say so.
        """
        started = asyncio.get_running_loop().time()
        paths = await self._changed()
        if any(needs_tool(path) or not path.isprintable() for path in paths):
            return None
        parsed = [path for path in paths if is_parsed(path)]
        texts = await self._parts.workspaces.read(self._job.commit, parsed, _TEXT_CHARS)
        if len(texts) < len(parsed) or any("\ufffd" in text or len(text) == _TEXT_CHARS for text in texts.values()):
            return None
        room = self._parts.folders.make()
        try:
            for path in paths:
                write_below(room.out, path, texts.get(path, ""))
            report = await check_syntax(room.out, paths, _no_tool)
        finally:
            await self._parts.folders.remove(room)
        return None if report.problems else self._result(report, started)

    async def _changed(self) -> tuple[str, ...]:
        return await changed_paths(self._parts.repository, self._job.base, self._job.commit)

    def _result(self, report: SyntaxReport, started: float) -> GateResult:
        wall_s = asyncio.get_running_loop().time() - started
        return scrubbed(_syntax_result(report, self._job.tree, wall_s), self._runner.redactor.vault)


async def _no_tool(_argv: Sequence[str]) -> str | None:
    return None


def _syntax_result(report: SyntaxReport, tree: str, wall_s: float) -> GateResult:
    lines = [str(problem) for problem in report.problems]
    skipped = [f"skipped {clean_text(path)}: {why}" for path, why in report.skipped]
    good = GateStatus.PASS if report.parsed else GateStatus.SKIPPED
    return GateResult(
        gate="syntax",
        tree=tree,
        status=GateStatus.FAIL if lines else good,
        detail="\n".join([*lines, *skipped][:_DETAIL_LINES]),
        tail="\n".join(lines[:_DETAIL_LINES]),
        wall_s=wall_s,
    )
