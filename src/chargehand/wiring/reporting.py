"""`report`: what a run has to show, gathered from journal and repository; nothing is changed by it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.environment import Environment, Identity
from chargehand.adapters.git.owned import write_atomically
from chargehand.adapters.git.patches import Pair, read_patches
from chargehand.adapters.receipts import FOLDER, file_name
from chargehand.adapters.secret_formats import without_secrets
from chargehand.adapters.text import clean_text, shown_without
from chargehand.domain.errors import ChargehandError, UserError
from chargehand.domain.evolve import fold
from chargehand.domain.state import RunState, TaskRecord
from chargehand.report.build import Source, build_report
from chargehand.report.model import ReceiptRef, Report
from chargehand.report.pages import Patch

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["open_page", "tell_report", "write_report"]

_PATCH_BYTES = 512 * 1024
_NOT_READ = "The difference cannot be shown: it is too large, or parts of it are not in this repository."


async def tell_report(shop: Workshop, run: str) -> Report:
    """The report of a run as it stands now."""
    events = shop.service.events(run)
    state = fold(events)
    sandbox, unheld = await _sandbox(shop, state)
    vault = Environment(outer=shop.environ, identity=Identity(), vault=shop.vault).vault(state.plan.env)
    return build_report(
        Source(
            state=state,
            events=events,
            now=shop.clock.now(),
            live=shop.store.holder(run) is not None,
            clean=lambda text: clean_text(shown_without(text, vault)),
            sandbox=sandbox,
            unheld=unheld,
            patches=await _patches(shop, state),
            receipts=_receipts(shop, state),
        )
    )


async def _sandbox(shop: Workshop, state: RunState) -> tuple[str, bool]:
    """What held the agents, in words, and whether nothing did. The journal knows what was asked for."""
    wanted = state.options.sandbox
    if wanted != "auto":
        return wanted, wanted == "none"
    with contextlib.suppress(ChargehandError):
        kind = (await shop.sandbox(wanted)).sandbox.kind
        return f"auto (on this machine: {kind})", kind == "none"
    return wanted, False


# -- changes --------------------------------------------------------------------------------------


async def _patches(shop: Workshop, state: RunState) -> dict[str, Patch]:
    """What each task changed on the branch; of one that did not land, what was sealed last."""
    wanted = {name: pair for name, record in state.tasks.items() if (pair := _pair(record))}
    if not wanted:
        return {}
    parents = await _parents(shop, [after for _, (before, after) in wanted.items() if not before])
    pairs = {name: (before or parents.get(after, ""), after) for name, (before, after) in wanted.items()}
    found = await read_patches(shop.repository.plumbing(), list(pairs.values()), _PATCH_BYTES)
    return {name: _patch(state.tasks[name], pair, found) for name, pair in pairs.items()}


def _pair(record: TaskRecord) -> Pair | None:
    """The commits to compare; an empty first one stands for the first parent of the second."""
    if record.landed:
        return "", record.landed
    sealed = record.sealed
    if sealed is None or sealed.tree == sealed.base_tree:
        return None
    return record.origin or sealed.base, sealed.commit


async def _parents(shop: Workshop, commits: list[str]) -> dict[str, str]:
    """The first parents of the commits that exist."""
    if not commits:
        return {}
    git = shop.repository.plumbing()
    got = await git.run("cat-file", "--batch-check=%(objectname)", stdin="".join(f"{c}^1\n" for c in commits).encode())
    return dict(zip(commits, got.stdout.decode("ascii", "replace").splitlines(), strict=True))


def _patch(record: TaskRecord, pair: Pair, found: dict[Pair, str | None]) -> Patch:
    landed = bool(record.landed)
    if pair not in found:
        return Patch(base="", commit=pair[1], landed=landed, note="Its commits are not here any more.")
    text = found[pair]
    if text is None:
        return Patch(base=pair[0], commit=pair[1], landed=landed, note=_NOT_READ)
    cut = "The difference is large; its end is not shown." if len(text) > _PATCH_BYTES - 4096 else ""
    return Patch(base=pair[0], commit=pair[1], landed=landed, text=without_secrets(text), note=cut)


# -- receipts -------------------------------------------------------------------------------------


def _receipts(shop: Workshop, state: RunState) -> dict[str, ReceiptRef]:
    """The receipts that lie in the folder of the run, with the hash of each as it is now."""
    folder = shop.store.folder(state.run) / FOLDER
    found = {}
    for task in ("", *state.tasks):
        name = file_name(task)
        with contextlib.suppress(OSError):
            digest = sha256((folder / name).read_bytes()).hexdigest()
            found[task] = ReceiptRef(path=f"{FOLDER}/{name}", sha256=digest)
    return found


# -- writing --------------------------------------------------------------------------------------


def write_report(shop: Workshop, run: str, text: str, suffix: str, output: Path | None) -> Path:
    """Write a report, as a whole or not at all; without `output` into the folder of the run. Answers where it is."""
    target = output if output is not None else shop.store.folder(run) / f"chargehand-report-{run}{suffix}"
    target = Path(os.path.abspath(target))  # noqa: PTH100 - links stay as they were given
    if target.is_dir():
        target /= f"chargehand-report-{run}{suffix}"
    try:
        write_atomically(target, text.encode("utf-8"))
    except OSError as error:
        raise UserError(
            f"The report could not be written to {target}: {error.strerror}.",
            code="unwritable",
            hint="Name a file in a folder that exists with --output FILE.",
        ) from error
    return target


async def open_page(page: Path) -> bool:
    """Show a page in the browser that the desktop, or BROWSER, names; False where there is none."""
    import webbrowser

    return await asyncio.to_thread(webbrowser.open, page.as_uri())
