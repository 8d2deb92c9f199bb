from __future__ import annotations

import importlib.util
from pathlib import Path

from chargehand.profiles import NAMES
from chargehand.profiles.bounds import BOUNDS

ROOT = Path(__file__).parent.parent.parent


def test_the_comparison_of_profiles_is_drawn_from_the_bounds():
    spec = importlib.util.spec_from_file_location("draw_profiles", ROOT / "tools" / "draw_profiles.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "Run `python tools/draw_profiles.py`."


def test_every_profile_has_its_bounds():
    """I10: what bounds a run of a profile stands in one table."""
    assert tuple(BOUNDS) == NAMES
