"""`python -m chargehand`."""

from __future__ import annotations

import sys

from chargehand.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
