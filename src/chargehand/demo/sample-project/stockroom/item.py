"""One kind of thing on the shelf."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Item"]


@dataclass(frozen=True)
class Item:
    """`price` is in cents, `count` how many there are."""

    name: str
    price: int
    count: int = 0

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("An item needs a name.")
        if self.price < 0 or self.count < 0:
            raise ValueError(f"{self.name}: price and count cannot be negative.")
