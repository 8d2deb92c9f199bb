"""Everything that calls git, and the readers that take its place where running it would be unsafe."""

from __future__ import annotations

from chargehand.adapters.git.command import Git, GitFailed
from chargehand.adapters.git.repository import Identity, Repository

__all__ = ["Git", "GitFailed", "Identity", "Repository"]
