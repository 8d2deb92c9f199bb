"""Starts the scripted model server; prints its address and serves until it is ended."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from chargehand.domain.errors import UserError

from .scenario import Scenario
from .server import ModelServer


async def _serve(scenario: Scenario, port: int, key: str | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with ModelServer(scenario, port=port, key=key) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> int:
    """Exit codes: 0 ended by a signal, 2 a wrong scenario or a port that is taken."""
    parser = argparse.ArgumentParser(
        prog="python -m chargehand.testing.model",
        description="A model server that says what a scenario says, for Anthropic, OpenAI and Gemini clients.",
        epilog="The first line of output is the address; clients take it for that of their provider.",
    )
    parser.add_argument("scenario", type=Path, help="a YAML or JSON file, see docs/how-to/scripted-model.md")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--key", help="the only key that is taken; without it, any")
    parser.add_argument("--check", action="store_true", help="only look whether the scenario is right")
    options = parser.parse_args()
    try:
        scenario = Scenario.read(options.scenario)
        if not options.check:
            asyncio.run(_serve(scenario, options.port, options.key))
    except UserError as error:
        sys.stderr.write(f"{error.message}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"The scripted model server cannot listen on port {options.port}: {error.strerror}.\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
