"""Settings: one table of options, read from files, environment, `--set` and flags (SPEC 10.2)."""

from __future__ import annotations

from chargehand.settings.load import SettingsInvalid, load_settings
from chargehand.settings.merge import merge_into
from chargehand.settings.options import OPTIONS, Option
from chargehand.settings.values import Commands, Notify, Rank, Sandbox, Settings, Value

__all__ = [
    "OPTIONS",
    "Commands",
    "Notify",
    "Option",
    "Rank",
    "Sandbox",
    "Settings",
    "SettingsInvalid",
    "Value",
    "load_settings",
    "merge_into",
]
