"""`chargehand doctor`: explains a broken world, and repairs what it can (SPEC 8).

One module an area; each check is a function that answers with findings, and a finding may carry its repair.
"""

from __future__ import annotations

from chargehand.wiring.doctor.examine import Subject, examine
from chargehand.wiring.doctor.finding import Finding, Mended, Repair, mend
from chargehand.wiring.doctor.programs import why_not

__all__ = ["Finding", "Mended", "Repair", "Subject", "examine", "mend", "why_not"]
