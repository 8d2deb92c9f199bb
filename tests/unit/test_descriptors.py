"""The limit of open files, tried in a process of its own: it cannot be undone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from chargehand.adapters.process import descriptors

SCRIPT = """
import resource, sys
from chargehand.adapters.process import allow_enough
soft, hard = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(allow_enough(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "then"),
    [
        (64, 4096, descriptors.ENOUGH),
        (64, 128, 128),
        (2000, 4096, 2000),
        (descriptors.ENOUGH, 4096, descriptors.ENOUGH),
    ],
)
def test_a_low_limit_is_raised_as_far_as_it_goes(soft, hard, then):
    argv = [sys.executable, "-c", SCRIPT, str(soft), str(hard)]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    assert told.split() == [str(then), str(then), str(hard)]
