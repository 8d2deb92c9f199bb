"""Session files of sequential thinking: what the server imports is read, everything else refused (FORMATS 9).

The prep gate of Station Kit is a question to such a file, answered by counting: no model is asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from chargehand.domain.problem import Problem
from chargehand.plans.document import Document
from chargehand.plans.factory_model import Said
from chargehand.plans.faults import problem_of
from chargehand.plans.fields import Count, kind_of
from chargehand.plans.json_text import parse_json

__all__ = ["STAGES", "Session", "Thought", "digest", "prep_gate", "read_session"]

STAGES = ("Problem Definition", "Research", "Analysis", "Synthesis", "Conclusion")
_BRANCH = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_BYTES = 16 * 1024 * 1024
_MAX_THOUGHTS = 10_000
_MAX_ITEM = 1_000
_MAX_TEXT = 100_000
_SHOWN = 24
_SHOWN_CHARS = 240
_SHOWN_ENDS = 1_500


def _refuse(message: str) -> PydanticCustomError:
    return PydanticCustomError("said", "{message}", {"message": message})


def _stage(value: Any) -> str:
    name = next((each for each in STAGES if isinstance(value, str) and each.casefold() == value.casefold()), None)
    if name is None:
        raise _refuse(f"Expected one of {', '.join(STAGES)}; found {kind_of(value)}.")
    return name


def _words(value: Any) -> Any:
    if isinstance(value, list) and len(value) > 100:
        raise _refuse(f"Expected at most 100 entries, found {len(value)}.")
    for each in value if isinstance(value, list) else ():
        if isinstance(each, str) and len(each) > _MAX_ITEM:
            raise _refuse(f"Expected entries of at most {_MAX_ITEM} characters, found one with {len(each)}.")
    return value


def _text(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        raise _refuse(f"Expected at most {_MAX_TEXT} characters, found {len(value)}.")
    return value


def _branch(value: Any) -> Any:
    if isinstance(value, str) and not _BRANCH.fullmatch(value):
        raise _refuse(f"Expected at most 64 letters, digits, '-' and '_', found {kind_of(value)}.")
    return value


def _ident(value: Any) -> Any:
    try:
        return str(UUID(value)) if isinstance(value, str) else value
    except ValueError:
        raise _refuse(f"Expected a UUID, found {kind_of(value)}.") from None


Words = Annotated[list[str], BeforeValidator(_words)]


class Thought(BaseModel):
    """One thought of a session; numbers count on the main line, and on each branch."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, defer_build=True, strict=True)

    thought: Annotated[Said, BeforeValidator(_text)]
    thought_number: Count
    total_thoughts: Count
    next_thought_needed: bool
    stage: Annotated[str, BeforeValidator(_stage)]
    tags: Words = Field(default_factory=list)
    axioms_used: Words = Field(default_factory=list)
    assumptions_challenged: Words = Field(default_factory=list)
    timestamp: str = ""
    is_revision: bool = False
    revises_thought_number: Count | None = None
    branch_from_thought: Count | None = None
    branch_id: Annotated[str | None, BeforeValidator(_branch)] = None
    id: Annotated[str | None, BeforeValidator(_ident)] = None
    type: Literal["thought"] | None = None


class _Envelope(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, defer_build=True, strict=True)

    version: Literal[1, 2] = 1
    thoughts: list[Thought]
    last_updated: str = ""
    exported_at: str = ""
    metadata: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session that the server would import."""

    thoughts: tuple[Thought, ...]

    def stages(self) -> Counter[str]:
        """How many thoughts there are of each stage."""
        return Counter(each.stage for each in self.thoughts)

    def branches(self, prefix: str) -> set[str]:
        """The branches of a kind: by the prefix of their id, else of a tag."""
        found = set()
        for each in self.thoughts:
            name = each.branch_id or ""
            tag = next((tag for tag in each.tags if tag.casefold().startswith(prefix)), "")
            if name.casefold().startswith(prefix):
                found.add(name)
            elif tag:
                found.add(name or tag)
        return found


def read_session(text: str) -> tuple[Session | None, list[Problem], Document]:
    """The session of a text, or what the server would refuse in it, with lines; the caller names the file."""
    document = parse_json(text)
    problems = list(document.problems)
    if not problems and len(text.encode("utf-8", "surrogatepass")) > _MAX_BYTES:
        problems.append(Problem(code="too_large", message="The session is larger than 16 MiB.", line=1))
    session = None
    if not problems:
        try:
            envelope = _Envelope.model_validate(document.data)
        except ValidationError as error:
            problems += [_problem(each) for each in error.errors(include_url=False)]
        else:
            problems += _rules(envelope.thoughts)
            session = Session(thoughts=tuple(envelope.thoughts))
    placed = [_place(document, each) for each in problems]
    return (None if placed else session), placed, document


def _problem(detail: Any) -> Problem:
    if detail["loc"] == ():
        return Problem(code="wrong_type", message=f"Expected a mapping, found {kind_of(detail['input'])}.")
    found = problem_of(detail, _Envelope)
    return replace(found, hint=f'Add "{found.path[-1]}" to it.') if found.code == "missing_key" else found


def _place(document: Document, problem: Problem) -> Problem:
    if problem.line is not None:
        return problem
    place = document.place(problem.path)
    return replace(problem, line=place.line if place else 1, column=place.column if place else None)


def _rules(thoughts: Sequence[Thought]) -> Iterator[Problem]:
    """What holds between thoughts: numbers, origins and ids."""
    if len(thoughts) > _MAX_THOUGHTS:
        text = f"The session has {len(thoughts)} thoughts; the server imports at most {_MAX_THOUGHTS}."
        yield Problem(code="too_large", message=text, path=("thoughts",))
    seen: dict[tuple[str | None, int], int] = {}
    ids: set[str] = set()
    origins: dict[str, int | None] = {}
    for number, each in enumerate(thoughts):
        said = [*_alone(each), *_among(each, seen, ids, origins)]
        yield from (Problem(code="bad_thought", message=text, path=("thoughts", number, key)) for key, text in said)
        seen.setdefault((each.branch_id, each.thought_number), number)
        ids.add(each.id or "")
        origins.setdefault(each.branch_id or "", each.branch_from_thought)


def _alone(each: Thought) -> Iterator[tuple[str, str]]:
    if each.total_thoughts < each.thought_number:
        yield "totalThoughts", f"totalThoughts is {each.total_thoughts}, less than thoughtNumber {each.thought_number}."
    if each.is_revision != (each.revises_thought_number is not None):
        yield "isRevision", "isRevision and revisesThoughtNumber go together."
    if each.is_revision and each.branch_from_thought is not None:
        yield "branchFromThought", "A revision never starts a branch."
    if each.branch_id is not None and each.branch_from_thought is None:
        yield "branchId", f"Branch {each.branch_id} has no branchFromThought."


def _among(
    each: Thought, seen: dict[tuple[str | None, int], int], ids: set[str], origins: dict[str, int | None]
) -> Iterator[tuple[str, str]]:
    if (each.branch_id, each.thought_number) in seen:
        where = f"branch {each.branch_id}" if each.branch_id else "the main line"
        yield "thoughtNumber", f"Thought {each.thought_number} stands on {where} twice; the server refuses that."
    if each.id and each.id in ids:
        yield "id", f"The id {each.id} is used twice."
    if each.branch_id and origins.get(each.branch_id, each.branch_from_thought) != each.branch_from_thought:
        yield "branchFromThought", f"Branch {each.branch_id} began at another thought before."
    for key, wanted, branch in (
        ("revisesThoughtNumber", each.revises_thought_number, each.branch_id),
        ("branchFromThought", each.branch_from_thought, None),
    ):
        if wanted is not None and (wanted >= each.thought_number or (branch, wanted) not in seen):
            yield key, f"{key} is {wanted}, which is no earlier thought of that line."


# -- the gate -------------------------------------------------------------------------------------


def prep_gate(session: Session) -> list[tuple[str, bool, str]]:
    """(check, whether it holds, what was found) for each thing a prep session must show."""
    stages = session.stages()
    checks = [("Conclusion reached", stages["Conclusion"] > 0, f"{stages['Conclusion']} thoughts in Conclusion")]
    checks += [
        (f"several thoughts in {stage}", stages[stage] > 1, f"{stages[stage]} in {stage}")
        for stage in ("Problem Definition", "Analysis")
    ]
    for kind in ("interpretation", "approach"):
        found = sorted(session.branches(kind))
        named = f": {', '.join(found)}" if found else ""
        checks.append((f"at least 2 {kind} branches", len(found) > 1, f"{len(found)} {kind} branches{named}"))
    return checks


def digest(session: Session) -> str:
    """The session for a brief: how it ended in full, the rest in a line each, the last ones first to stay."""
    ends = [each for each in session.thoughts if each.stage == "Conclusion"]
    others = [each for each in session.thoughts if each.stage != "Conclusion"]
    lines = [f"- [{each.stage}{_on(each)}] {_cut(each.thought, _SHOWN_CHARS)}" for each in others[-_SHOWN:]]
    left = len(others) - len(lines)
    lines = [f"({left} earlier thoughts left out)"] * bool(left) + lines
    return "\n".join(
        [*lines, *(f"- [{each.stage}{_on(each)}] {_cut(each.thought, _SHOWN_ENDS)}" for each in ends[-8:])]
    )


def _on(each: Thought) -> str:
    return f", {each.branch_id}" if each.branch_id else ""


def _cut(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
