"""The field types of plan and configuration files: what a person may write, and what it becomes.

Every type is a pydantic annotation with its JSON Schema beside it. A value that does not fit raises
`PydanticCustomError` whose message is the sentence a person reads; `plans.faults` adds the place.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BaseModel as _BaseModel
from pydantic import BeforeValidator, ConfigDict, WithJsonSchema
from pydantic_core import PydanticCustomError

from chargehand.domain.plan import Command
from chargehand.plans.document import Plain

__all__ = [
    "Count",
    "Duration",
    "EnvName",
    "Flag",
    "Model",
    "Money",
    "ShellOrArgv",
    "Version",
    "WaveNumber",
    "Whole",
    "duration_text",
    "parse_duration",
]

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhd]))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_S = 366 * 86400.0
_MODERN_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Model(_BaseModel):
    """A mapping with a fixed set of keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def _refuse(message: str) -> PydanticCustomError:
    return PydanticCustomError("said", "{message}", {"message": message})


def kind_of(value: Any) -> str:
    """What a value is, in the words of a person."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "'true'" if value else "'false'"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return "an empty text" if not value.strip() else f"'{_short(value)}'"
    return f"the number {value}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}…"


def parse_duration(text: str) -> float | None:
    """Seconds of `90s`, `30m`, `2h`, `1h30m`, `500ms` or `7d`; None when it is no duration."""
    if not _DURATION.fullmatch(text):
        return None
    return math.fsum(float(number) * _UNITS[unit] for number, unit in _DURATION_PART.findall(text))


def duration_text(seconds: float) -> str:
    """The duration as a person writes it, exact to a millisecond."""
    for unit, size in (("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= size and math.isclose(seconds % size, 0, abs_tol=1e-9):
            return f"{round(seconds / size)}{unit}"
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"


def _duration(value: Any) -> float:
    text = str(value) if isinstance(value, str) else ""
    seconds = parse_duration(text)
    if seconds is None:
        number = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else text
        bare = _NUMBER.fullmatch(number) is not None
        advice = f"add the unit, as in '{number}s' or '{number}m'" if bare else "write it like 90s, 30m or 2h"
        raise _refuse(f"Expected a duration, found {kind_of(value)}; {advice}.")
    if not 0 < seconds <= _LONGEST_S:
        raise _refuse(f"Expected a duration longer than zero and at most a year, found {kind_of(value)}.")
    return seconds


def _integer(value: Any, least: int, what: str) -> int:
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, Plain) and _INT.fullmatch(value):
        number = int(value)
    if number is None or not least <= number < 10**18:
        quoted = " Leave the quotes out." if isinstance(value, str) and not isinstance(value, Plain) else ""
        raise _refuse(f"Expected {what}, found {kind_of(value)}.{quoted}")
    return number


def _count(value: Any) -> int:
    return _integer(value, 1, "a whole number from 1")


def _whole(value: Any) -> int:
    return _integer(value, 0, "a whole number from 0")


def _wave(value: Any) -> int:
    number = _integer(value, 1, "the number of a wave, from 1")
    if number > 1_000_000:
        raise _refuse(f"Expected the number of a wave up to 1000000, found {number}.")
    return number


def _version(value: Any) -> int:
    number = _integer(value, 0, "the version of the format, which is 1")
    if number != 1:
        raise _refuse(f"This file is written in version {number} of the format; this program reads version 1.")
    return number


def _money(value: Any) -> float:
    number: float | None = None
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value) if abs(value) < 1e15 else None
    elif isinstance(value, Plain) and _NUMBER.fullmatch(value):
        number = float(value)
    if number is None or not 0 < number < 1e15:
        raise _refuse(f"Expected an amount in US dollars greater than zero, found {kind_of(value)}.")
    return number


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Plain) and value in _MODERN_BOOL:
        return _MODERN_BOOL[value]
    raise _refuse(f"Expected true or false, found {kind_of(value)}.")


def _command(value: Any) -> Command:
    if isinstance(value, str):
        if not value.strip():
            raise _refuse("Expected a command, found an empty text.")
        if value.lstrip().startswith("-"):
            raise _refuse(
                f"{kind_of(value)} is an option, not a command; an argument list is a list of its own: [[prog, -x]]."
            )
        return Command(argv=(str(value),), shell=True)  # noqa: S604 - a value, nothing is run
    if not isinstance(value, list):
        raise _refuse(f"Expected a command, as a list of arguments or one shell line, found {kind_of(value)}.")
    for part in value:
        if not isinstance(part, str):
            raise _refuse(f"Expected a list of texts as the arguments of a command, found {kind_of(part)} in it.")
    if not value or not value[0].strip():
        raise _refuse("Expected a command, found a list without a program.")
    return Command(argv=tuple(str(part) for part in value))


def _env_name(value: Any) -> str:
    text = str(value) if isinstance(value, str) else ""
    if not _ENV_NAME.fullmatch(text):
        raise _refuse(f"Expected the name of an environment variable, found {kind_of(value)}.")
    if text.startswith("CHARGEHAND_"):
        raise _refuse(f"'{text}' is set by Chargehand itself; choose a name without CHARGEHAND_ in front.")
    return text


_DURATION_SCHEMA = {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$", "examples": ["90s", "30m"]}
_ARGV_SCHEMA = {"type": "array", "items": {"type": "string"}, "minItems": 1}

Duration = Annotated[float, BeforeValidator(_duration), WithJsonSchema(_DURATION_SCHEMA)]
Count = Annotated[int, BeforeValidator(_count), WithJsonSchema({"type": "integer", "minimum": 1})]
Whole = Annotated[int, BeforeValidator(_whole), WithJsonSchema({"type": "integer", "minimum": 0})]
WaveNumber = Annotated[int, BeforeValidator(_wave), WithJsonSchema({"type": "integer", "minimum": 1})]
Version = Annotated[int, BeforeValidator(_version), WithJsonSchema({"type": "integer", "const": 1})]
Money = Annotated[float, BeforeValidator(_money), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})]
Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
EnvName = Annotated[
    str,
    BeforeValidator(_env_name),
    WithJsonSchema({"type": "string", "pattern": "^(?!CHARGEHAND_)[A-Za-z_][A-Za-z0-9_]*$"}),
]
ShellOrArgv = Annotated[
    Command,
    BeforeValidator(_command),
    WithJsonSchema({"anyOf": [_ARGV_SCHEMA, {"type": "string", "minLength": 1}]}),
]
