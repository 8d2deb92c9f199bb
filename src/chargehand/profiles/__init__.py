"""Profiles: how Chargehand behaves as one of the systems it descends from (SPEC 11). Data and projections only.

A profile is a set of policy values, words for briefs, and a projection of events onto that system's own files. No
profile is named in domain or engine: they see values.
"""

from __future__ import annotations

from chargehand.profiles.profile import HOUSE_PROFILE, NAMES, Profile, Site, profile_of

__all__ = ["HOUSE_PROFILE", "NAMES", "Profile", "Site", "profile_of"]
