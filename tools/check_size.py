"""The size check: no module over 600 lines, no function over 60, unless listed here with a reason."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

MODULE_LINES = 600
FUNCTION_LINES = 60
ALLOWED: dict[str, str] = {}


def main() -> int:
    """Print what is too long; 1 when there is anything."""
    found = [line for path in sorted(Path("src").rglob("*.py")) for line in _too_long(path)]
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


def _too_long(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    found = [f"{path}: {lines} lines, at most {MODULE_LINES}."] if lines > MODULE_LINES else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > FUNCTION_LINES and f"{path}:{node.name}" not in ALLOWED:
                found.append(f"{path}:{node.lineno}: {node.name} has {size} lines, at most {FUNCTION_LINES}.")
    return found


if __name__ == "__main__":
    sys.exit(main())
