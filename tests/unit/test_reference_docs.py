"""The reference pages of the plan format and the settings name everything the code knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chargehand.cli.samples import sample_settings
from chargehand.plans.native import parse_plan
from chargehand.plans.schema import plan_schema
from chargehand.settings import OPTIONS, Option, Settings, load_settings

ROOT = Path(__file__).parents[2]
PLAN = (ROOT / "docs/reference/plan.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
CODES = re.compile(r"""code="([a-z_0-9]+)"|(?:_warning|problem|no)\(\s*"([a-z_0-9]+)",""")


def codes_in(*folders: str) -> set[str]:
    files = [file for folder in folders for file in sorted((ROOT / "src/chargehand").glob(folder))]
    found = {one or two for file in files for one, two in CODES.findall(file.read_text(encoding="utf-8"))}
    assert found
    return found


def test_every_key_of_a_plan_is_described() -> None:
    schema = plan_schema()
    keys = set(schema["properties"])
    for part in schema["$defs"].values():
        keys |= set(part.get("properties", ()))
    assert [key for key in sorted(keys) if f"`{key}`" not in PLAN] == []


def test_every_code_of_a_plan_is_described() -> None:
    known = codes_in("plans/*.py", "domain/check.py")
    assert {"cycle", "serialised", "unknown_key", "ambiguous_plan", "unreadable"} <= known
    assert [code for code in sorted(known) if f"`{code}`" not in PLAN] == []


def test_every_code_of_the_settings_is_described() -> None:
    known = codes_in("settings/*.py")
    assert {"bad_setting", "two_project_files"} <= known
    assert [code for code in sorted(known) if f"`{code}`" not in SETTINGS] == []


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: str(option.key))
def test_every_option_is_described(option: Option) -> None:
    row = next(line for line in SETTINGS.splitlines() if line.startswith(f"| `{option.key}` |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    default = str(option.default).lower() if isinstance(option.default, bool) else option.default
    assert cells[2] == ("not set" if default is None else "none" if default == [] else f"`{default}`")
    assert cells[3] == (f"`{option.flag}`" if option.flag else "")


def test_the_example_plan_is_one() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PLAN, re.DOTALL)
    assert parse_plan(text, "plan.yaml").problems == ()


def test_the_example_settings_are_some(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", SETTINGS, re.DOTALL)
    (tmp_path / "chargehand.toml").write_text(text)
    assert load_settings(tmp_path, {}).jobs == 6


# -- settings that are shown elsewhere -------------------------------------------------------------


def user_settings(folder: Path, text: str) -> Settings:
    """What the settings are where a user's own file says this."""
    file = folder / "config" / "chargehand" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    return load_settings(folder, {"XDG_CONFIG_HOME": str(folder / "config"), "HOME": "/no/such/home"})


def test_the_settings_of_the_scripted_model_are_complete(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/scripted-model.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"<!-- a test reads this example -->\n```toml\n(.*?)```", page, re.DOTALL)
    found = user_settings(tmp_path, text)
    (agent,) = found.agents
    assert (found.agent, agent.name, agent.kind) == ("scripted-claude", "scripted-claude", "claude")
    assert (agent.base_url, agent.key, bool(agent.model)) == ("http://127.0.0.1:40713", "env:ANY_KEY", True)


def test_the_agent_that_init_recommends_is_one(tmp_path: Path) -> None:
    """The block is commented out in a file of the repository, for it belongs into the user's own."""
    lines = [line.removeprefix("#     ") for line in sample_settings({}).splitlines() if line.startswith("#     ")]
    found = user_settings(tmp_path, "\n".join(lines))
    assert [(each.name, each.kind, each.key) for each in found.agents] == [
        ("claude", "claude", "env:ANTHROPIC_API_KEY"),
    ]
    assert found.agent == "claude"
