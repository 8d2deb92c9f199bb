"""The scripted model server: answers as four providers do, and says what a scenario says.

Real agent programs are driven through it without a key and without a network; it also plays the ways in which
providers fail. In a test:

    async with ModelServer(Scenario.of({"plays": [{"steps": [{"say": "Hello."}]}]})) as server:
        ... server.url, server.seen

or, where there is no event loop, `with serving(scenario) as server:`. As a program:

    python -m chargehand.testing.model scenario.yaml --port 0

docs/how-to/scripted-model.md describes scenarios.
"""

from .scenario import Play, Scenario, Step
from .server import ModelServer, Seen, serving

__all__ = ["ModelServer", "Play", "Scenario", "Seen", "Step", "serving"]
