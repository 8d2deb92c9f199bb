"""Nothing else was touched: what is noticed in the user's repository (SPEC 3.7, item 3)."""

from __future__ import annotations

import shutil

from chargehand.adapters.checkout_watch import CheckoutWatch, Differences
from tests.e2e.gitworld import World


def changed(world: World, act, artifacts: tuple[str, ...] = ()) -> Differences:
    watch = CheckoutWatch(repository=world.repository, artifacts=artifacts)
    before = world.run(watch.snapshot())
    act()
    return CheckoutWatch.diff(before, world.run(watch.snapshot()))


def test_nothing_happened(world: World, repo):
    repo.write("untracked.txt", "mine\n")
    repo.write("README.md", "dirty\n")
    index = (repo.path / ".git" / "index").read_bytes()
    assert changed(world, lambda: None) == Differences(checkout_changed=(), config_changed=())
    assert (repo.path / ".git" / "index").read_bytes() == index


def test_our_own_refs_do_not_count(world: World):
    def act() -> None:
        base = world.repo.head()
        world.run(world.integrator.open("chargehand/run", base))
        world.seal(world.acquire())
        world.land("chargehand/run", base, base)

    assert changed(world, act) == Differences(checkout_changed=(), config_changed=())


def test_paths_and_refs_of_the_checkout_are_named(world: World, repo):
    repo.write("dirty.txt", "already dirty\n")

    def act() -> None:
        repo.write("README.md", "changed\n")
        repo.write("dirty.txt", "changed once more\n")
        (repo.path / "src" / "app.py").unlink()
        repo.git("branch", "feature")
        repo.git("tag", "v1")

    assert changed(world, act).checkout_changed == (
        "README.md",
        "dirty.txt",
        "refs/heads/feature",
        "refs/tags/v1",
        "src/app.py",
    )


def test_what_the_coordinator_writes_for_another_system_does_not_count(world: World, repo):
    def act() -> None:
        repo.write("state/tasks.json", "ours\n")
        repo.write("state/other.json", "theirs\n")

    assert changed(world, act, ("state/tasks.json",)).checkout_changed == ("state/other.json",)


def test_a_switched_branch_is_noticed(world: World, repo):
    assert changed(world, lambda: repo.git("switch", "-q", "-c", "x")).checkout_changed == ("HEAD", "refs/heads/x")


def test_hooks_and_configuration_are_named(world: World, repo):
    (repo.path / ".git" / "hooks" / "old").write_text("x")

    def act() -> None:
        repo.git("config", "alias.x", "!evil")
        hook = repo.path / ".git" / "hooks" / "pre-commit"
        hook.write_text("#!/bin/sh\n")
        hook.chmod(0o755)
        (repo.path / ".git" / "hooks" / "old").unlink()
        (repo.path / ".git" / "info" / "attributes").write_text("* filter=evil\n")

    expected = ("config", "hooks/old", "hooks/pre-commit", "info/attributes")
    assert changed(world, act) == Differences(checkout_changed=(), config_changed=expected)


def test_a_filter_written_meanwhile_does_not_run(world: World, repo, tmp_path):
    """I8: the look itself executes nothing that was written during the attempt."""
    sentinel = tmp_path / "ran"

    def act() -> None:
        (repo.path / ".git" / "info" / "attributes").write_text("* filter=evil\n")
        for key in ("filter.evil.clean", "filter.evil.process", "core.fsmonitor"):
            repo.git("config", key, f"touch {sentinel}; cat")
        repo.write("README.md", "changed, so that it is hashed\n")

    found = changed(world, act)
    assert ("README.md" in found.checkout_changed, "config" in found.config_changed) == (True, True)
    assert not sentinel.exists()


def test_a_removed_hooks_folder_is_no_error(world: World, repo):
    shutil.rmtree(repo.path / ".git" / "hooks")
    assert changed(world, lambda: None).config_changed == ()
