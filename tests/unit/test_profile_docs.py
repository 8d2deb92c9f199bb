from __future__ import annotations

import importlib.util
import re
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


def test_every_test_that_a_page_names_is_there():
    """A page says by which test a rule is shown; `…` stands for the rest of a name."""
    names = {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    for page in (ROOT / "docs" / "profiles").glob("*.md"):
        for name, rest in re.findall(r"`(test_\w+?)(…|)`", page.read_text(encoding="utf-8")):
            found = any(each.startswith(name) for each in names) if rest else name in names
            assert found, f"{page.name}: {name}{rest}"
