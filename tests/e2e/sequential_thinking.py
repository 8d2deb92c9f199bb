"""Imports session files through the tools of the real server, over stdio; run with the interpreter it is installed for.

`python sequential_thinking.py SERVER STORAGE FILE…` prints a JSON list, for each file what `import_session` and
`generate_summary` answered. With `--prepare NAME` it records a small prep session first and exports it under that name.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

_PREP = [
    ("What is asked for?", "Problem Definition", None, None),
    ("What is slow?", "Problem Definition", None, None),
    ("Read as speed.", "Analysis", 2, "interpretation-speed"),
    ("Read as memory.", "Analysis", 2, "interpretation-memory"),
    ("A generator.", "Analysis", 2, "approach-generator"),
    ("Pages.", "Analysis", 2, "approach-pages"),
    ("A generator, then.", "Conclusion", None, None),
]


def _answer(result: Any) -> dict[str, Any]:
    failed = getattr(result, "is_error", getattr(result, "isError", False))
    text = "".join(getattr(each, "text", "") for each in result.content)
    return {"failed": bool(failed), "text": text}


async def _prepare(session: Any, name: str) -> None:
    for text, stage, origin, branch in _PREP:
        said = {"thought": text, "total_thoughts": 9, "next_thought_needed": stage != "Conclusion", "stage": stage}
        more = {"branch_from_thought": origin, "branch_id": branch} if branch else {}
        told = _answer(await session.call_tool("process_thought", {**said, **more}))
        assert not told["failed"], told
    told = _answer(await session.call_tool("export_session", {"file_path": name}))
    assert not told["failed"], told


async def main(server: str, storage: Path, words: list[str]) -> None:
    client, stdio = import_module("mcp"), import_module("mcp.client.stdio")  # of the other environment
    exports = storage / "exports"
    exports.mkdir(parents=True, exist_ok=True)
    environ = {"MCP_STORAGE_DIR": str(storage), "HOME": str(storage), "PATH": os.environ.get("PATH", "")}
    parameters = client.StdioServerParameters(command=server, args=[], env=environ)
    answers = []
    async with stdio.stdio_client(parameters) as (read, write), client.ClientSession(read, write) as session:
        await session.initialize()
        if words[:1] == ["--prepare"]:
            await _prepare(session, words[1])
            words = words[2:]
        for word in words:
            shutil.copy(word, exports / Path(word).name)
            told = _answer(await session.call_tool("import_session", {"file_path": Path(word).name}))
            summary = _answer(await session.call_tool("generate_summary", {"max_chars": 50000}))
            answers.append({"file": Path(word).name, "import": told, "summary": summary})
    print(json.dumps(answers))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
