"""How many attempts follow one that failed: the profile says, unless the settings do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chargehand.domain.options import Caps
from chargehand.wiring.profiling import profiled
from tests.play import Play, a_plan, a_task


@pytest.mark.parametrize(
    ("profile", "said", "retries"), [("task-executor", None, 1), ("task-executor", 3, 3), ("konductor", 0, 0)]
)
def test_the_bound_of_a_profile_is_a_setting(profile: str, said: int | None, retries: int):
    """Nothing else of the profile's policy changes with it."""
    plan = replace(a_plan(a_task("a")), profile=profile)
    options = Play(plan, caps=Caps(task_retries=said)).state.options
    policy = profiled(options, plan).policy
    assert policy.retries == retries
    assert replace(policy, retries=1) == replace(profiled(replace(options, caps=Caps()), plan).policy, retries=1)
