"""What the demo says of a run, from its events alone."""

from __future__ import annotations

from chargehand.demo.story import IncidentKind, incidents_of
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import EffectIntended, EffectLost, Event, Recorded
from chargehand.domain.outcome import Role


def test_an_attempt_that_was_lost_is_told_in_the_words_of_the_engine() -> None:
    """Its intent is durable before anything starts [I5]: nothing is said of a process that may never have been."""
    effect = StartAttempt(key="a/1/attempt", task="a", attempt=1, role=Role.IMPLEMENTER, base="0" * 40)
    lost = EffectLost(key=effect.key, detail="The process that carried it out is gone.")
    events: list[Event] = [EffectIntended(effect=effect), lost]
    (incident,) = incidents_of(Recorded(seq=n, at=float(n), event=event) for n, event in enumerate(events, start=1))
    assert (incident.kind, incident.task) == (IncidentKind.KILLED, "a")
    assert incident.what.endswith("The process that carried it out is gone.")
    assert "was killed with it" not in incident.what
    assert incident.followed == "The task did not land."
