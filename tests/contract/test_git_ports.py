"""Integrators and workspaces keep their contracts: over real git, and in the fake."""

from contextlib import asynccontextmanager

import pytest

from chargehand.adapters.git import Repository
from chargehand.adapters.integrator import GitIntegrator
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.testing.contracts import IntegratorContract, WorkspacesContract
from chargehand.testing.fakes import FakeIntegrator
from tests.contract.histories import FakeHistory, RepoHistory


class TestFakeIntegrator(IntegratorContract):
    @pytest.fixture
    def integrator(self):
        return FakeIntegrator({"conflict": ["a.txt"]})

    @pytest.fixture
    def open_integrator(self, integrator):
        @asynccontextmanager
        async def opened():
            yield integrator

        return opened

    @pytest.fixture
    def history(self, integrator):
        return FakeHistory(integrator)


class TestGitIntegrator(IntegratorContract):
    @pytest.fixture
    def history(self, repo):
        return RepoHistory(repo)

    @pytest.fixture
    def open_integrator(self, repo):
        @asynccontextmanager
        async def opened():
            yield GitIntegrator(await Repository.discover(repo.path, repo.environ))

        return opened


class TestGitWorkspaces(WorkspacesContract):
    @pytest.fixture
    def history(self, repo):
        return RepoHistory(repo)

    @pytest.fixture
    def open_workspaces(self, repo, tmp_path):
        @asynccontextmanager
        async def opened():
            yield GitWorkspaces(await Repository.discover(repo.path, repo.environ), tmp_path / "pool")

        return opened
