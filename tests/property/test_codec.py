"""The codec: what was written is what is read, for every event there is."""

import json
import math
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.adapters.codec import EVENTS, UPCASTERS, Codec, from_data, to_data
from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import DispatchStopped, Event
from chargehand.domain.plan import Command, GateSpec
from chargehand.domain.words import StopReason
from chargehand.ports import Request

KINDS = get_args(Event)

st.register_type_strategy(float, st.floats(allow_nan=False))
TEXT = st.text(st.characters(exclude_categories=[]), max_size=8)  # lone surrogates too: file names are bytes
st.register_type_strategy(str, TEXT)


def built(kind: Any) -> Any:
    # every field is drawn, also those with a default
    return st.builds(kind, **dict.fromkeys((field.name for field in fields(kind)), ...))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_round_trip(kind):
    """decode(encode(event)) is the event, in one line of ASCII; encoding is a function of the value."""

    @settings(max_examples=25, deadline=None)
    @given(built(kind))
    def check(event):
        text = EVENTS.encode(event)
        again = EVENTS.decode(text)
        assert again == event
        assert type(again) is kind
        assert text.isascii()
        assert "\n" not in text
        assert EVENTS.encode(again) == text

    check()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_missing_fields_take_their_defaults(kind):
    """An old event without a field that came later means what the default says [I14]."""

    @settings(max_examples=10, deadline=None)
    @given(built(kind))
    def check(event):
        envelope = json.loads(EVENTS.encode(event))
        expected = {}
        for field in fields(kind):
            if field.default is not MISSING:
                del envelope["data"][field.name]
                expected[field.name] = field.default
        again = EVENTS.decode(json.dumps(envelope))
        assert all(getattr(again, name) == value for name, value in expected.items())

    check()


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | TEXT,
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["task", "$", "key", "effect", "tasks", "plan"]), inner)
        ),
        max_leaves=8,
    ),
    st.sampled_from(KINDS),
)
def test_any_other_json_is_a_clear_error(data, kind):
    """Damaged data raises our errors only, never a bare one."""
    envelope = json.dumps({"type": kind.__name__, "v": 1, "data": data})
    try:
        event = EVENTS.decode(envelope)
    except (AdapterError, UserError):
        return
    assert type(event) is kind


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        '"x"',
        "{}",
        '{"type":1,"v":1,"data":{}}',
        "[" * 100_000,
        '{"type":"RunFinished","v":true,"data":{}}',
        '{"type":"RunFinished","v":0,"data":{}}',
    ],
)
def test_damaged_envelopes(text):
    with pytest.raises(AdapterError, match="damaged"):
        EVENTS.decode(text)


@pytest.mark.parametrize(
    "envelope",
    [
        {"type": "TaskBeamedUp", "v": 1, "data": {}},
        {"type": "WarningRaised", "v": 99, "data": {"code": "c", "text": "t"}},
    ],
)
def test_newer_events_are_refused_by_name(envelope):
    with pytest.raises(UserError, match="written by a newer Chargehand") as caught:
        EVENTS.decode(json.dumps(envelope))
    assert caught.value.code == "newer_journal"
    assert caught.value.hint


def test_unknown_fields_are_refused():
    """A field this release does not know must not vanish silently."""
    text = json.dumps({"type": "WarningRaised", "v": 1, "data": {"code": "c", "text": "t", "colour": "red"}})
    with pytest.raises(AdapterError, match="colour"):
        EVENTS.decode(text)


def test_the_message_names_the_place():
    data = to_data(DispatchStopped(reason=StopReason.HUMAN, detail="d"))
    with pytest.raises(AdapterError, match=r"DispatchStopped\.reason: StopReason has no value 'whim'"):
        from_data(DispatchStopped, {**data, "reason": "whim"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Coloured:
    name: str
    hue: int


def test_an_upcaster_at_work():
    """Version 1 had a word for the colour, version 2 text for the number, version 3 has a number [I14]."""

    def from_1(data):
        data["hue"] = {"red": "0", "green": "120"}[data.pop("colour")]
        return data

    def from_2(data):
        return {**data, "hue": int(data["hue"])}

    codec: Codec[Coloured] = Codec(Coloured, {("Coloured", 1): from_1, ("Coloured", 2): from_2})
    assert json.loads(codec.encode(Coloured(name="n", hue=7))) == {
        "type": "Coloured",
        "v": 3,
        "data": {"name": "n", "hue": 7},
    }
    old: list[tuple[int, dict[str, object]]] = [(1, {"colour": "green"}), (2, {"hue": "120"}), (3, {"hue": 120})]
    for version, data in old:
        text = json.dumps({"type": "Coloured", "v": version, "data": {"name": "n", **data}})
        assert codec.decode(text) == Coloured(name="n", hue=120)
    with pytest.raises(UserError, match="newer"):
        codec.decode('{"type":"Coloured","v":4,"data":{}}')


def test_upcasters_leave_no_step_out():
    """Every version from 1 has a way to the next, and names an event that exists."""
    for kind, version in UPCASTERS:
        assert kind in {known.__name__ for known in KINDS}
        assert all((kind, step) in UPCASTERS for step in range(1, version))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_numbers_json_has_no_word_for(value):
    """They survive, and the text stays JSON that any reader takes."""
    spec = GateSpec(id="g", run=Command(argv=("true",)), wall_s=value)
    text = json.dumps(to_data(spec), allow_nan=False)
    assert repr(from_data(GateSpec, json.loads(text)).wall_s) == repr(value)


@given(built(Request))
def test_other_values_have_a_form_too(request):
    assert from_data(Request, json.loads(json.dumps(to_data(request)))) == request
