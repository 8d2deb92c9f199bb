"""argv → argv: confines a program with bubblewrap, with Landlock, or not at all (SPEC 7.1)."""

from chargehand.adapters.sandbox.choice import choose
from chargehand.adapters.sandbox.toolchains import home_variables
from chargehand.adapters.sandbox.values import Confinement, Sandbox, SandboxChoice

__all__ = ["Confinement", "Sandbox", "SandboxChoice", "choose", "home_variables"]
