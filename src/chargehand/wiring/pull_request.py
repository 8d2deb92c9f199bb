"""`accept --pr`: from a finished run to a pull request; no branch of the user's is touched (SPEC 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chargehand.adapters.forge import Forge, remote_of, without_user
from chargehand.adapters.secret_formats import without_secrets
from chargehand.domain.errors import UserError
from chargehand.report.markdown import to_markdown
from chargehand.report.model import Report
from chargehand.wiring.landing import chosen_target, finished_state
from chargehand.wiring.reporting import tell_report

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["Proposal", "PullRequest", "look_before_pull_request", "open_pull_request"]

_TITLE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What `accept --pr` would do: push `commit` as `branch` to `remote`, and ask there for it to be merged."""

    run: str
    branch: str
    target: str
    remote: str
    url: str
    commit: str
    commits: int
    forge: Forge


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """What it did; `created`: there was none for these branches."""

    run: str
    branch: str
    target: str
    remote: str
    commit: str
    url: str
    created: bool


async def look_before_pull_request(shop: Workshop, run: str, target: str | None) -> Proposal:
    """What would be pushed and asked for; `UserError` where it cannot be: nothing has left the machine then."""
    state = finished_state(shop, run)
    target = await chosen_target(shop, state, target)
    at = await shop.repository.ref(f"refs/heads/{state.branch}")
    if at != state.head or at is None:
        there = at[:12] if at else "gone"
        raise UserError(
            f"{state.branch} was moved by somebody else: it is {there}, the run left it at {str(state.head)[:12]}.",
            code="branch_moved",
            hint="Look at what was added, and move the branch back.",
        )
    remote = remote_of(shop.repository.config, target)
    forge = Forge.find(shop.repository, remote, state.branch)
    counted = await shop.repository.git().text("rev-list", "--count", f"{state.base}..{at}")
    config = shop.repository.config
    url = config.get(f"remote.{remote}.pushurl") or config.get(f"remote.{remote}.url", "")
    return Proposal(
        run=run,
        branch=state.branch,
        target=target,
        remote=remote,
        url=without_user(url),
        commit=at,
        commits=int(counted),
        forge=forge,
    )


async def open_pull_request(shop: Workshop, proposal: Proposal) -> PullRequest:
    """Push the integration branch and open the pull request, or bring the one that is open up to date.

    `UserError` says how far it came; doing it again does nothing twice.
    """
    report = await tell_report(shop, proposal.run)
    body = without_secrets(to_markdown(report))
    await proposal.forge.push(proposal.commit, proposal.branch)
    opened = await proposal.forge.open(branch=proposal.branch, target=proposal.target, title=_title(report), body=body)
    return PullRequest(
        run=proposal.run,
        branch=proposal.branch,
        target=proposal.target,
        remote=proposal.remote,
        commit=proposal.commit,
        url=opened.url,
        created=opened.created,
    )


def _title(report: Report) -> str:
    goal = without_secrets(" ".join(report.goal.split()))
    title = f"{report.plan}: {goal}" if goal else report.plan
    return title if len(title) <= _TITLE else title[: _TITLE - 1] + "…"
