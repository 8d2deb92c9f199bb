"""`chargehand schema`: the JSON Schema of the native plan format (SPEC 2.1)."""

from __future__ import annotations

from chargehand.cli.call import Call, command

__all__ = ["schema"]

_EXAMPLES = """
chargehand schema > plan.schema.json   for editors: `# yaml-language-server: $schema=plan.schema.json`
"""


@command("schema", examples=_EXAMPLES)
def schema(call: Call) -> None:
    """Print the JSON Schema of a native plan."""
    from chargehand.plans.schema import plan_schema

    call.out.document(plan_schema())
