"""Whether git still has what a receipt says that landed: commits, trees, trailers, and the branch they are on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chargehand.adapters.git.reading import read_blobs
from chargehand.adapters.git.repository import Repository
from chargehand.domain.receipt import Receipt
from chargehand.domain.state import RunState

__all__ = ["Commit", "Landed", "look_at_landed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What a commit object says."""

    tree: str
    parents: tuple[str, ...]
    trailers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What git has of a run: `line` is the first-parent line from base to head, `branch` what is wrong with that."""

    run: str
    commits: Mapping[str, Commit]
    line: frozenset[str]
    branch: str = ""
    is_gone: bool = False

    def problems_of(self, receipt: Receipt) -> Iterator[tuple[str, str]]:
        """(code, sentence) for everything of a receipt that git tells otherwise."""
        body = receipt.body
        if not receipt.task:
            yield from self._of_run(receipt)
            return
        commit = self.commits.get(receipt.commit)
        if commit is None:
            yield "commit_gone", f"The commit {receipt.commit} that landed is not in the repository any more."
            return
        if "candidate" in body:
            yield from self._of_trees(receipt, commit)
        if receipt.commit not in self.line:
            yield "off_branch", f"The commit {receipt.commit[:10]} is not on the first-parent line of the branch."

    def _of_trees(self, receipt: Receipt, commit: Commit) -> Iterator[tuple[str, str]]:
        body = receipt.body
        if commit.tree != body["candidate"]["tree"]:
            yield "tree_differs", f"{receipt.commit[:10]} has the tree {commit.tree}, gated was another one."
        sealed = self.commits.get(body["sealed"]["commit"])
        if sealed is None:
            yield "commit_gone", f"The sealed commit {body['sealed']['commit']} is not in the repository any more."
        elif sealed.tree != body["sealed"]["tree"] or body["sealed"]["commit"] not in commit.parents:
            yield "tree_differs", f"{receipt.commit[:10]} is not the merge of the commit that was judged."
        expected = {
            "Chargehand-Run": self.run,
            "Chargehand-Task": receipt.task,
            "Chargehand-Attempt": str(body["attempt"]),
        }
        wrong = [name for name, value in expected.items() if commit.trailers.get(name) != value]
        if wrong:
            yield "trailers_differ", f"{receipt.commit[:10]} has other trailers than recorded: {', '.join(wrong)}."

    def _of_run(self, receipt: Receipt) -> Iterator[tuple[str, str]]:
        head = self.commits.get(receipt.commit)
        if head is None:
            yield "commit_gone", f"The head {receipt.commit} of the run is not in the repository any more."
        elif receipt.body["head"]["tree"] not in ("", head.tree):
            yield "tree_differs", f"The head {receipt.commit[:10]} has the tree {head.tree}, recorded was another one."
        if self.branch:
            yield "branch_gone" if self.is_gone else "off_branch", self.branch


async def look_at_landed(repository: Repository, state: RunState, receipts: Mapping[str, Receipt]) -> Landed:
    """Read the commits of receipts, and where the run's branch stands."""
    named = {receipt.commit for receipt in receipts.values()}
    named |= {receipt.body["sealed"]["commit"] for receipt in receipts.values() if "sealed" in receipt.body}
    head = state.head or state.base
    commits = await _commits(repository, sorted(named | {head}))
    line = await _first_parents(repository, head, state.base) if head in commits else frozenset()
    why, is_gone = await _branch(repository, state, head)
    return Landed(run=state.run, commits=commits, line=line, branch=why, is_gone=is_gone)


async def _branch(repository: Repository, state: RunState, head: str) -> tuple[str, bool]:
    """Why the branch does not hold the head of the run; one that was landed may be gone."""
    tip = await repository.ref(f"refs/heads/{state.branch}")
    if tip is None:
        return ("" if state.is_landed else f"The branch {state.branch} is gone."), True
    if tip == head or head in await _first_parents(repository, tip, state.base):
        return "", False
    return f"The branch {state.branch} stands at {tip[:10]}, and does not hold {head[:10]}, the head of the run.", False


async def _first_parents(repository: Repository, tip: str, base: str) -> frozenset[str]:
    got = await repository.plumbing().run("rev-list", "--first-parent", tip, f"^{base}", ok=(0, 128))
    return frozenset(got.stdout.decode("ascii", "replace").split() if got.code == 0 else ())


async def _commits(repository: Repository, names: list[str]) -> dict[str, Commit]:
    found = await read_blobs(repository.plumbing(), [name for name in names if name])
    return {name: _parsed(data.decode("utf-8", "replace")) for name, data in found.items()}


def _parsed(text: str) -> Commit:
    head, _, message = text.partition("\n\n")
    facts = [line.partition(" ") for line in head.split("\n")]
    last = message.rstrip("\n").rpartition("\n\n")[2]
    pairs = [line.partition(": ") for line in last.split("\n")]
    return Commit(
        tree=next((value for key, _, value in facts if key == "tree"), ""),
        parents=tuple(value for key, _, value in facts if key == "parent"),
        trailers={key: value for key, _, value in pairs},
    )
