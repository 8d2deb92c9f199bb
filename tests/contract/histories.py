"""Commits for the suites of git ports: in a real repository, and in the fake's dictionaries."""

from __future__ import annotations

from chargehand.testing.contracts import History
from chargehand.testing.fakes import FakeIntegrator, object_id, tree_of
from tests.repos import Repo

__all__ = ["FakeHistory", "RepoHistory"]


class RepoHistory(History):
    """Commits made without touching the work tree, each kept by a ref."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo
        self.base = self._make([], "a.txt", "one\n")

    def _make(self, parents: list[str], path: str, text: str) -> str:
        repo, index = self.repo, self.repo.path / ".git" / "history.index"
        index.unlink(missing_ok=True)
        indexed = Repo(path=repo.path, environ={**repo.environ, "GIT_INDEX_FILE": str(index)})
        for parent in parents:
            indexed.git("read-tree", parent)
        blob = repo.git("hash-object", "-w", "--stdin", stdin=text.encode())
        indexed.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        over = [word for parent in parents for word in ("-p", parent)]
        commit = repo.git("commit-tree", indexed.git("write-tree"), *over, "-m", f"{path}\n\n{text[:60]}")
        repo.git("update-ref", f"refs/test/{commit}", commit)
        return commit

    def commit(self, parent: str, path: str, text: str) -> str:
        return self._make([parent], path, text)

    def parents(self, commit: str) -> list[str]:
        return self.repo.git("rev-list", "--parents", "-n1", commit).split()[1:]

    def tree(self, commit: str) -> str:
        return self.repo.git("rev-parse", f"{commit}^{{tree}}")

    def move(self, branch: str, commit: str) -> None:
        self.repo.git("update-ref", f"refs/heads/{branch}", commit)

    def resolve(self, ref: str) -> str | None:
        return self.repo.git("rev-parse", "--verify", "-q", ref, ok=(0, 1)) or None


class FakeHistory(History):
    """The ids are hashes, as everywhere in the fakes."""

    def __init__(self, integrator: FakeIntegrator) -> None:
        self.integrator = integrator
        self.base = object_id("base")

    def commit(self, parent: str, path: str, text: str) -> str:
        return object_id("commit", parent, path, text)

    def parents(self, commit: str) -> list[str]:
        return list(self.integrator.parents.get(commit, ()))

    def tree(self, commit: str) -> str:
        return self.integrator.trees.get(commit, tree_of(commit))

    def move(self, branch: str, commit: str) -> None:
        self.integrator.move(branch, commit)

    def resolve(self, ref: str) -> str | None:
        return self.integrator.branches.get(ref.removeprefix("refs/heads/"))
