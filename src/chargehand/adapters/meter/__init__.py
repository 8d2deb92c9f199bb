"""The meter: a loopback proxy between agents and model providers. docs/reference/meter.md describes it."""

from chargehand.adapters.meter.cassette import Player, Recorder
from chargehand.adapters.meter.meter import Meter
from chargehand.adapters.meter.prices import Price, PriceTable
from chargehand.adapters.meter.values import Auth, Bounds, MeterRecord, MeterSpec, Problem, Upstream

__all__ = [
    "Auth",
    "Bounds",
    "Meter",
    "MeterRecord",
    "MeterSpec",
    "Player",
    "Price",
    "PriceTable",
    "Problem",
    "Recorder",
    "Upstream",
]
