from __future__ import annotations

import importlib.util
from pathlib import Path

from chargehand.domain.words import Reason

ROOT = Path(__file__).parent.parent.parent


def test_the_states_page_is_drawn_from_the_table():
    spec = importlib.util.spec_from_file_location("draw_states", ROOT / "tools" / "draw_states.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "Run `python tools/draw_states.py`."


def test_every_reason_is_explained():
    """I12: a terminal state says why in a word the documentation knows."""
    text = (ROOT / "docs" / "reference" / "outcomes.md").read_text(encoding="utf-8")
    assert [reason for reason in Reason if f"`{reason}`" not in text] == []
