"""The work of those who look and change nothing: reviewers, fitters and researchers (SPEC 3.8, 4, 5).

They have a copy of the commit that is thrown away. What counts is what they say, and that only when the copy is as it
was [I7]: it is compared by the runtime's own git, and what they left in it all the same is rescued [I2]. What a
verdict says is there is looked up in the judged tree, and the commands it names are run.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from chargehand.adapters.attempt_ground import Ground, Ready, Site
from chargehand.adapters.attempt_work import Answer, Ended, kept_answer
from chargehand.adapters.checkout_watch import Snapshot
from chargehand.adapters.copies import CopyState, violations
from chargehand.adapters.fleet_parts import Pooled
from chargehand.adapters.probes import run_probes
from chargehand.adapters.reports import NO_REPORT, read_report
from chargehand.adapters.restorations import NO_RESTORATION, read_restoration
from chargehand.adapters.verdicts import NO_VERDICT, read_verdict
from chargehand.domain.errors import AdapterError
from chargehand.domain.line import Restoration
from chargehand.domain.outcome import AttemptResult, Report
from chargehand.domain.review import BLOCKING, Finding, Review, Verdict

__all__ = ["Fitting", "Looking", "Researching", "Reviewing", "located", "relative_to", "unfounded"]

MOST_TOLD = 20
_LARGEST_CHARS = 16 * 1024 * 1024
_AT_ONCE = 16

_ASK_VERDICT = """\
Your review is over, but its verdict cannot be used: {why}

Change nothing. Answer with the verdict alone: a block fenced with three backticks and tagged `chargehand-verdict` that
holds one JSON object, such as

```chargehand-verdict
{{"verdict": "PASS"}}
```

or, when something must be mended,

```chargehand-verdict
{{"verdict": "FAIL", "findings": [{{"id": "f1", "severity": "major", "file": "src/a.py", "line": 12, "claim": "What is \
wrong there.", "clause": "The sentence of the task that it breaks."}}]}}
```

`severity` is critical, major, minor or note. FAIL needs a critical or major finding with an existing file and line, or
a criterion with `"met": false`. Say what is true.
"""

_ASK_RESTORATION = """\
Your work is over, but its restoration cannot be used: {why}

Change nothing. Answer with the restoration alone: a block fenced with three backticks and tagged
`chargehand-restoration` that holds one JSON object, such as

```chargehand-restoration
{{"gate_id": "tests", "outcome": "GREEN", "mitigation_applied": ["What was changed, and why it helps."],
  "updated_fit_profile": {{"timeout_seconds": 1800}}}}
```

`outcome` is GREEN (go on), YELLOW (a person should decide) or RED (secrets or interaction are needed). `invocation`
and `environment` may be added. Say what is true.
"""

_ASK_REPORT = """\
Your research is over, but its report cannot be used: {why}

Change nothing. Answer with the report alone: a block fenced with three backticks and tagged `chargehand-report` that
holds one JSON object, such as

```chargehand-report
{{"status": "DONE", "summary": "What was found."}}
```

`status` is DONE, NEEDS_CONTEXT, BLOCKED or FAILED. Say what is true.
"""


class Looking:
    """What all of them have in common; `violations` are known once the agent has ended."""

    name = "report"
    nothing = NO_REPORT
    ask = _ASK_REPORT

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._before = CopyState()
        self._checkout: Snapshot | None = None
        self.violations: tuple[str, ...] = ()

    @property
    def start(self) -> str:
        """The commit that is looked at."""
        return self._ground.spec.commit or self._ground.spec.base

    async def doubt(self, site: Site, found: Answer) -> str:
        """There is nothing to be compared."""
        del site, found
        return ""

    def ask_again(self, why: str) -> str:
        """Asks for the answer alone."""
        return self.ask.format(why=why)

    async def begin(self, site: Site) -> None:
        """Look at the copy as it is after setup, and at the user's repository where no sandbox hides it."""
        parts = self._ground.parts
        self._before = await parts.workspaces.copy(site.workspace).state()
        self._checkout = None if parts.watch is None else await parts.watch.snapshot()

    async def compare(self, site: Site) -> None:
        """Find out what was changed; what cannot be found out counts as changed."""
        parts, found = self._ground.parts, list[str]()
        try:
            after = await parts.workspaces.copy(site.workspace).state(self._before)
            found += violations(self._before, after)
            if parts.watch is not None and self._checkout is not None:
                other = parts.watch.diff(self._checkout, await parts.watch.snapshot())
                found += [f"changed {path} in your checkout" for path in other.checkout_changed]
                found += [f"changed {name} of your repository" for name in other.config_changed]
        except (AdapterError, OSError) as error:
            why = error.message if isinstance(error, AdapterError) else f"{error}."
            found.append(f"its copy can no longer be compared: {why}")
        told = [self._ground.shown(each).replace("\n", "\\n") for each in found[:MOST_TOLD]]
        self.violations = (*told, *([f"and {len(found) - MOST_TOLD} more"] if len(found) > MOST_TOLD else ()))

    def is_unkept(self, result: AttemptResult) -> bool:
        """Whatever was changed."""
        del result
        return bool(self.violations)

    def to_rescue(self, result: AttemptResult) -> bool:
        """Whatever was changed."""
        return self.is_unkept(result)


class Reviewing(Looking):
    """The work of a reviewer: a verdict, and what is true of it."""

    name = "verdict"
    nothing = NO_VERDICT
    ask = _ASK_VERDICT

    def read(self, result: Path, said: Path | str) -> Verdict | str:
        """The verdict."""
        return read_verdict(*kept_answer(self._ground, result, said, "verdict.json"))

    async def doubt(self, site: Site, found: Answer) -> str:
        """Of a first round: what it says and what it names must fit. A later one speaks of what is frozen elsewhere."""
        ground = self._ground
        if not isinstance(found, Verdict) or ground.spec.since:
            return ""
        findings, there = await located(ground.parts.workspaces, self.start, site.workspace.path, found.findings)
        return unfounded(replace(found, findings=findings), there)

    def unstarted(self, why: str) -> Ended:
        """No verdict."""
        return Ended(review=Review(problem=why))

    async def finish(self, site: Site, ready: Ready, found: Answer | str) -> Ended:
        """Compare, look up what the verdict names, and run its commands, unless it is void anyway."""
        await self.compare(site)
        if not isinstance(found, Verdict):
            problem = found if isinstance(found, str) else self.nothing
            return Ended(review=Review(problem=self._ground.shown(problem), violations=self.violations))
        ground, root = self._ground, site.workspace.path
        findings, there = await located(ground.parts.workspaces, self.start, root, found.findings)
        verdict = replace(found, findings=findings)
        probes = () if self.violations else await run_probes(ground, findings, ready.places)
        return Ended(review=Review(verdict=verdict, located=there, probes=probes, violations=self.violations))


class Fitting(Looking):
    """The work of a fitter: a restoration, which counts only when nothing was changed."""

    name = "restoration"
    nothing = NO_RESTORATION
    ask = _ASK_RESTORATION

    def read(self, result: Path, said: Path | str) -> Restoration | str:
        """The restoration."""
        file, output = kept_answer(self._ground, result, said, "restoration.json")
        return read_restoration(file, output, self._ground.spec.gate)

    def unstarted(self, why: str) -> Ended:
        """No restoration."""
        return Ended(report_problem=why)

    async def finish(self, site: Site, ready: Ready, found: Answer | str) -> Ended:
        """Compare."""
        del ready
        await self.compare(site)
        if self.violations:
            return Ended(report_problem=f"The fitter may change nothing, and did: {'; '.join(self.violations)}.")
        if isinstance(found, Restoration):
            return Ended(restoration=found)
        return Ended(report_problem=found if isinstance(found, str) else self.nothing)


class Researching(Looking):
    """The work of a researcher: a report; what was changed is a warning, since nothing of it is kept."""

    def read(self, result: Path, said: Path | str) -> Report | str:
        """The report."""
        return read_report(*kept_answer(self._ground, result, said, "report.json"))

    def unstarted(self, why: str) -> Ended:
        """No report."""
        return Ended(report_problem=why)

    async def finish(self, site: Site, ready: Ready, found: Answer | str) -> Ended:
        """Compare."""
        del ready
        await self.compare(site)
        if self.violations:
            self._ground.warnings.append(f"The researcher changed its copy: {'; '.join(self.violations)}.")
        if isinstance(found, Report):
            return Ended(report=found)
        return Ended(report_problem=found if isinstance(found, str) else self.nothing)


def unfounded(verdict: Verdict, there: Collection[str]) -> str:
    """Why the verdict of a first round does not hold together, or an empty string; `there` are the located ids."""
    grave = [finding for finding in verdict.findings if finding.severity in BLOCKING]
    unmet = [each.criterion for each in verdict.criteria if not each.met]
    standing = [finding.id for finding in grave if finding.id in there and not finding.resolved]
    if verdict.passed and (standing or unmet):
        named = ", ".join([*standing, *unmet])[:300]
        return f"The verdict is PASS, but it says that this is open: {named}. Say FAIL, or minor, or met."
    if verdict.passed or standing or unmet:
        return ""
    named = ", ".join(f"{finding.file or 'no file'}:{finding.line or '?'}" for finding in grave)[:300]
    tail = f"the tree has no such place: {named}." if grave else "there is none."
    return f"The verdict is FAIL, which needs a critical or major finding at an existing file and line; {tail}"


# -- what a verdict names -------------------------------------------------------------------------


async def located(
    workspaces: Pooled, commit: str, root: Path, findings: Sequence[Finding]
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """The findings with paths from the root of the tree, and the ids of those whose file and line the commit has.

    `root` is the workspace that the reviewer had. A finding without a line names no place.
    """
    named = [replace(finding, file=relative_to(root, finding.file)) for finding in findings]
    lines = await _lines(workspaces, commit, [path for finding in named for path in _spellings(finding.file)])
    settled, there = [], []
    for finding in named:
        path = next((each for each in _spellings(finding.file) if each in lines), finding.file)
        settled.append(finding if path == finding.file else replace(finding, file=path))
        if finding.line is not None and finding.line <= lines.get(path, 0):
            there.append(finding.id)
    return tuple(settled), tuple(there)


def relative_to(root: Path, path: str) -> str:
    """A path as the tree has it, without `./` or the workspace in front; one that leaves the tree stays as it is."""
    for top in dict.fromkeys((root, root.resolve())):
        if path.startswith(f"{top}/"):
            path = path.removeprefix(f"{top}/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or not parts:
        return path
    return str(PurePosixPath(*parts))


def _spellings(path: str) -> tuple[str, ...]:
    """A path, and what it is when it was taken from the head of a patch; none for one that leaves the tree."""
    if not path or path.startswith("/") or ".." in path.split("/"):
        return ()
    return (path, path[2:]) if path.startswith(("a/", "b/")) and len(path) > 2 else (path,)


async def _lines(workspaces: Pooled, commit: str, paths: Sequence[str]) -> dict[str, int]:
    """How many lines the files of a commit have, by path; only those that exist and are text. A few at a time."""
    wanted = list(dict.fromkeys(paths))
    found: dict[str, int] = {}
    for first in range(0, len(wanted), _AT_ONCE):
        texts = await workspaces.read(commit, wanted[first : first + _AT_ONCE], _LARGEST_CHARS)
        found |= {path: text.count("\n") + (not text.endswith("\n") and bool(text)) for path, text in texts.items()}
    return found
