"""The JSON Schema of the native format (draft 2020-12), drawn from its models."""

from __future__ import annotations

from typing import Any

from chargehand.plans.models import PlanModel

__all__ = ["plan_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def plan_schema() -> dict[str, Any]:
    """The schema as a JSON value: every key with its description; null counts as not stated."""
    schema = PlanModel.model_json_schema(by_alias=True)
    cleaned: dict[str, Any] = _tidy(schema)
    return {"$schema": _DIALECT, **cleaned, "title": "Chargehand plan"}


def _tidy(value: Any) -> Any:
    """Leave out the titles that are made from class and key names, and the defaults that only say 'not stated'."""
    if isinstance(value, list):
        return [_tidy(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        key: {name: _tidy(part) for name, part in entry.items()} if key in {"properties", "$defs"} else _tidy(entry)
        for key, entry in value.items()
        if not (key == "title" and isinstance(entry, str)) and not (key == "default" and entry is None)
    }
