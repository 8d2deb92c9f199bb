"""What the scripted model says: plays of steps, read from YAML, JSON or a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from chargehand.domain.errors import UserError

__all__ = ["Call", "Edit", "Error", "Numbers", "Play", "Scenario", "Step", "Times", "Write"]

Times = Literal["forever"] | Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Numbers(_Strict):
    """The tokens an answer claims. `input` is all of the prompt, `cached` and `written` are parts of it."""

    input: int = Field(default=100, ge=0)
    output: int = Field(default=20, ge=0)
    cached: int = Field(default=0, ge=0)
    written: int = Field(default=0, ge=0)


class Write(_Strict):
    """A file to write, by whatever tool the agent offers for it."""

    path: str
    text: str


class Edit(_Strict):
    """A text to replace in a file."""

    path: str
    old: str
    new: str


class Call(_Strict):
    """A tool called by its own name, with its own input."""

    tool: str
    input: dict[str, Any] = Field(default_factory=dict)


class Error(_Strict):
    """An HTTP error. `retry_after_s` and `reset_s` say when to come back, each in its own way.

    `retry_after_s` is the Retry-After header, and Gemini's RetryInfo; `reset_s` the headers of exhausted rate
    limits. `body` is sent in place of the dialect's own error.
    """

    status: int = Field(ge=400, le=599)
    message: str = "The scripted model refuses."
    retry_after_s: Seconds | None = None
    reset_s: Seconds | None = None
    body: str | None = None


def _error(given: object) -> object:
    return {"status": given} if isinstance(given, int) and not isinstance(given, bool) else given


class Step(_Strict):
    """One turn of the model: exactly one of the actions, and how it is done.

    What fails (`error`, `silence`, `garbage`, and `cut` at an answer) does so `times` times in a conversation, and
    then the next step is played, or the answer is given whole; a tool call with `times` is made that often.
    """

    write: Write | None = None
    edit: Edit | None = None
    run: str | None = None
    call: Call | None = None
    together: tuple[Step, ...] | None = None
    say: str | None = None
    report: dict[str, Any] | None = None
    verdict: dict[str, Any] | None = None
    flood: int | None = Field(default=None, ge=1)
    error: Annotated[Error | None, BeforeValidator(_error)] = None
    silence: Seconds | Literal["forever"] | None = None
    garbage: Literal["body", "stream", "arguments"] | None = None

    times: Times = 1
    usage: Numbers | None = None
    model: str | None = None
    delay_s: Seconds = 0.0
    pause_s: Seconds = 0.0
    cut: int | None = Field(default=None, ge=0)

    @property
    def action(self) -> str:
        """The name of what it does."""
        return next(name for name in _ACTIONS if getattr(self, name) is not None)

    @property
    def is_call(self) -> bool:
        """Whether it makes the agent do something and come back."""
        return self.action in {"write", "edit", "run", "call", "together"} or self.garbage == "arguments"

    @property
    def is_fault(self) -> bool:
        """Whether it leaves no trace in the conversation."""
        return self.action in {"error", "silence"} or self.garbage in {"body", "stream"}

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        given = [name for name in _ACTIONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a step is exactly one of {', '.join(_ACTIONS)}; this one is {' and '.join(given) or 'none'}"
            )
        if self.together is not None and not all(step.is_call and step.together is None for step in self.together):
            raise ValueError("`together` holds tool calls only")
        return self


_ACTIONS = (
    "write", "edit", "run", "call", "together", "say", "report", "verdict", "flood", "error", "silence", "garbage",
)  # fmt: skip


def _texts(given: object) -> object:
    return (given,) if isinstance(given, str) else given


class Play(_Strict):
    """The steps for some conversations: those whose texts hold every text of `when`, or that ask for it by `name`.

    A play with `sides` also answers requests that offer no tools; otherwise those get a constant.
    """

    name: str = ""
    when: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    sides: bool = False
    steps: tuple[Step, ...]


class Scenario(_Strict):
    """Plays in the order in which they are tried. `model` is the version of the format."""

    model: Literal[1] = 1
    usage: Numbers = Numbers()
    side: str = "Scripted side answer"
    models: tuple[str, ...] = ("scripted-model",)
    plays: tuple[Play, ...]

    @classmethod
    def of(cls, document: object, *, file: str | None = None) -> Scenario:
        """A scenario from a mapping; `UserError` names everything that is wrong with it."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            found = "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'scenario'}: {one['msg'].removeprefix('Value error, ')}"
                for one in error.errors()
            )
            raise UserError(f"The model scenario is wrong: {found}.", code="scenario", file=file) from None

    @classmethod
    def read(cls, path: Path) -> Scenario:
        """A scenario from a YAML or JSON file."""
        import yaml

        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise UserError(
                f"The model scenario {path} cannot be read: {error}.", code="scenario", file=str(path)
            ) from None
        if not isinstance(document, Mapping):
            raise UserError(
                f"The model scenario {path} must be a mapping with `plays`.", code="scenario", file=str(path)
            )
        return cls.of(document, file=str(path))
