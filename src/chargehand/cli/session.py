"""What one call of the program knows for the case that it fails."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from chargehand.domain.events import Recorded
    from chargehand.domain.secrecy import Vault

__all__ = ["Session"]

_REMEMBERED = 20


@dataclass(slots=True, kw_only=True)
class Session:
    """The words of the call, and as it goes on: the run, where crash reports go, and the last events."""

    words: tuple[str, ...] = ()
    run: str | None = None
    crashes: Path | None = None
    recent: deque[Recorded] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _vault: Vault | None = field(default=None, init=False, repr=False)

    @property
    def vault(self) -> Vault:
        """The secrets that nothing printed may hold: those of the environment, and those of settings."""
        if self._vault is None:
            from chargehand.domain.secrecy import Vault, secret_values

            self._vault = Vault(secret_values(os.environ))
        return self._vault

    @property
    def json(self) -> bool:
        """Whether the caller wants a document, also when the words cannot be understood."""
        given = self.words[: self.words.index("--")] if "--" in self.words else self.words
        return "--json" in given
