"""What became of the tests between two trees, given the outlines of the files that changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chargehand.adapters.integrity.outline import TRIVIAL, Case, Check, Mark, Outline, weaker
from chargehand.domain.test_changes import TestChange, TestChangeKind

__all__ = ["compare"]

_NOTHING = Outline()
_DEEP = 3
_ALIKE = 0.5
_TRIES = 200_000
"""How often two tests are looked at side by side; what is left then is taken for deleted."""


def compare(before: Mapping[str, Outline], after: Mapping[str, Outline]) -> Iterator[TestChange]:
    """The places where tests lost force. Both hold the changed files only; a new file stands in `after` alone."""
    yield from _Comparison(before, after).run()


@dataclass(slots=True)
class _Fresh:
    """A test that is new, and how many of its checks no vanished test has been given yet."""

    path: str
    case: Case
    room: int
    many: bool


@dataclass(slots=True)
class _Comparison:
    before: Mapping[str, Outline]
    after: Mapping[str, Outline]
    fresh: list[_Fresh] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    helpers_before: dict[str, list[tuple[Case, Outline]]] = field(default_factory=dict)
    helpers_after: dict[str, list[tuple[Case, Outline]]] = field(default_factory=dict)
    tries: int = _TRIES

    def run(self) -> Iterator[TestChange]:
        vanished: list[tuple[str, Case]] = []
        self.helpers_before, self.helpers_after = _by_name(self.before), _by_name(self.after)
        for path, new in self.after.items():
            old = self.before.get(path, _NOTHING)
            for name, case in new.cases.items():
                if name not in old.cases:
                    room, many = self._weight(case, new)
                    self.fresh.append(_Fresh(path=path, case=case, room=max(1, room), many=many))
        for path, old in self.before.items():
            new = self.after.get(path, _NOTHING)
            for name, case in old.cases.items():
                if name in new.cases:
                    yield from self._pair(old, case, path, new.cases[name])
                else:
                    vanished.append((path, case))
            for name, case in old.helpers.items():
                if name in new.helpers:
                    yield from self._helper(path, old, case, new.helpers[name])
            if path in self.after:
                yield from _file(path, old, new)
        for path, case in vanished:
            yield from self._vanished(path, case)
        for path, new in self.after.items():
            if path in self.moved:
                yield from _file(path, self.before[self.moved[path]], new)
            elif path not in self.before:
                yield from _ending(path, _NOTHING, new)

    # -- tests that are gone

    def _vanished(self, path: str, case: Case) -> Iterator[TestChange]:
        """A test that moved, was renamed or became part of another one is none that was deleted."""
        old = self.before[path]
        weight, _ = self._weight(case, old, before=True)
        heir = self._heir(path, case, weight)
        if heir is None:
            yield TestChange(path=path, kind=TestChangeKind.DELETED, detail=f"{case.name} is gone")
            return
        if heir.path not in self.before:
            self.moved[heir.path] = path
        if heir.case.digest == case.digest or _last(heir.case.name) == _last(case.name):
            heir.room = 0
            yield from self._pair(old, case, heir.path, heir.case)
        else:
            heir.room -= max(1, weight)
            yield from _marked(heir.path, heir.case.name, case.marks, heir.case.marks)

    def _heir(self, path: str, case: Case, weight: int) -> _Fresh | None:
        self.tries -= len(self.fresh)
        if self.tries < 0:
            return None
        same = [one for one in self.fresh if one.room and case.digest and one.case.digest == case.digest]
        named = [one for one in self.fresh if one.room and _last(one.case.name) == _last(case.name)]
        here = [one for one in named if one.path == path or _alike(case, one.case) >= _ALIKE]
        if same or here:
            return (same or here)[0]
        wide = [one for one in self.fresh if one.many or one.room >= max(1, weight)]
        alike = sorted(((_alike(case, one.case), one) for one in wide), key=lambda pair: -pair[0])
        return alike[0][1] if alike and alike[0][0] >= _ALIKE else None

    # -- tests that are still there

    def _pair(self, old: Outline, was: Case, where: str, case: Case) -> Iterator[TestChange]:
        new = self.after[where]
        yield from _marked(where, case.name, was.marks, case.marks)
        found = list(_checked(where, case.name, was.checks, case.checks))
        yield from found
        if case.rows < was.rows and not case.many:
            text = f"{case.name} runs with {case.rows} parameter sets, {was.rows} before"
            if not self._taken_over(was, case, old):
                yield TestChange(path=where, kind=TestChangeKind.WEAKENED, detail=text, line=case.line)
                return
        least, unknown = self._weight(was, old, before=True)
        most, many = self._weight(case, new)
        if most < least and (unknown or not many) and not found and not self._spare(was, least - most):
            text = f"{case.name} makes {most} assertions, {least} before"
            yield TestChange(path=where, kind=TestChangeKind.WEAKENED, detail=text, line=case.line)
        yield from _mocked(where, case, was, old, self.after[where])

    def _taken_over(self, was: Case, case: Case, old: Outline) -> bool:
        """Whether a new test that is alike runs what this one no longer does."""
        per_row = max(1, self._weight(was, old, before=True)[0] // max(1, was.rows))
        return self._spare(was, (was.rows - case.rows) * per_row)

    def _spare(self, was: Case, wanted: int) -> bool:
        """Take `wanted` checks from a new test that is alike, where one has them: a test was split."""
        self.tries -= len(self.fresh)
        for one in self.fresh if self.tries >= 0 else ():
            if (one.many or one.room >= wanted) and _alike(was, one.case) >= _ALIKE:
                one.room -= wanted
                return True
        return False

    def _helper(self, path: str, old: Outline, was: Case, case: Case) -> Iterator[TestChange]:
        """What tests call: its own checks count, and a marker in it stops whoever calls it."""
        yield from _marked(path, case.name, was.marks, case.marks)
        found = list(_checked(path, case.name, was.checks, case.checks))
        yield from found
        least, unknown = self._weight(was, old, before=True)
        most, many = self._weight(case, self.after[path])
        if most < least and (unknown or not many) and not found:
            text = f"{case.name} makes {most} assertions, {least} before"
            yield TestChange(path=path, kind=TestChangeKind.WEAKENED, detail=text, line=case.line)

    # -- how much

    def _weight(self, case: Case, outline: Outline, *, before: bool = False, depth: int = 0) -> tuple[int, bool]:
        """How many assertions a test makes, those of functions it calls included, and whether nobody knows."""
        total = sum(check.times for check in case.checks if check.strength != TRIVIAL)
        many = case.many or any(check.many for check in case.checks)
        if depth < _DEEP:
            for call in case.calls:
                known = (self.helpers_before if before else self.helpers_after).get(call, ())
                own = [one for one in known if one[1] is outline] or known
                if own and own[0][0] is not case:
                    helper, where = own[0]
                    inner, unknown = self._weight(helper, where, before=before, depth=depth + 1)
                    counted = any(check.subject == call for check in case.checks)
                    total += max(0, inner - counted)
                    many = many or unknown
        return total * case.rows, many


def _by_name(side: Mapping[str, Outline]) -> dict[str, list[tuple[Case, Outline]]]:
    """The functions that check something, by the last part of their names."""
    found: dict[str, list[tuple[Case, Outline]]] = {}
    for outline in side.values():
        for full, helper in outline.helpers.items():
            if helper.checks:
                found.setdefault(_last(full), []).append((helper, outline))
    return found


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _alike(old: Case, new: Case) -> float:
    """How much of what a test is about another one is about, too: 0 to 1."""
    about, other = _about(old), _about(new)
    return len(about & other) / len(about) if about else float(old.digest == new.digest)


def _about(case: Case) -> frozenset[str]:
    return case.names or frozenset(case.calls)


def _beyond(old: Iterable[Mark], new: Sequence[Mark]) -> Iterator[Mark]:
    """Those of which there are more than before."""
    known = Counter(mark.text for mark in old)
    for mark in new:
        if known[mark.text]:
            known[mark.text] -= 1
        else:
            yield mark


def _marked(path: str, name: str, old: Sequence[Mark], new: Sequence[Mark]) -> Iterator[TestChange]:
    for mark in _beyond(old, new):
        yield TestChange(path=path, kind=TestChangeKind.SKIPPED, detail=f"{name}: {mark.text}", line=mark.line)


def _checked(path: str, name: str, old: Sequence[Check], new: Sequence[Check]) -> Iterator[TestChange]:
    """Assertions about the same thing that demand less, and those that came to demand nothing."""
    gone, come = _difference(old, new), _difference(new, old)
    for check in gone:
        for other in come:
            how = weaker(check, other) if other.subject == check.subject else ""
            if how and not any(one.subject == check.subject and not weaker(check, one) for one in come):
                text = f"{name}: {how}: {other.text[:80]}"
                yield TestChange(path=path, kind=TestChangeKind.WEAKENED, detail=text, line=other.line)
                break


def _difference(some: Sequence[Check], others: Sequence[Check]) -> list[Check]:
    known = Counter(check.text for check in others)
    found = []
    for check in some:
        if known[check.text]:
            known[check.text] -= 1
        else:
            found.append(check)
    return found


def _mocked(path: str, case: Case, was: Case, old: Outline, new: Outline) -> Iterator[TestChange]:
    asked = [helper for helper in new.helpers.values() if _last(helper.name) in case.params - was.params]
    mocks = [*case.mocks, *(mark for helper in asked for mark in helper.mocks)]
    for mark in _beyond(was.mocks, mocks):
        if _is_tested(mark.text, was.names, old.modules):
            text = f"{case.name} replaces {mark.text}, which it tests"
            yield TestChange(path=path, kind=TestChangeKind.MOCKED, detail=text, line=mark.line)


def _is_tested(target: str, names: frozenset[str], modules: frozenset[str]) -> bool:
    """Whether what is replaced is what the tests call: a function, a module they import, a method they use."""
    owner, _, method = target.rpartition(".")
    return target in names or (target in modules and target in names) or (owner in names and f".{method}" in names)


def _file(path: str, old: Outline, new: Outline) -> Iterator[TestChange]:
    """What concerns a whole file."""
    for mark in _beyond(old.marks, new.marks):
        yield TestChange(path=path, kind=TestChangeKind.SKIPPED, detail=f"the file: {mark.text}", line=mark.line)
    names, modules = old.names, old.modules
    everywhere = [mark for helper in new.helpers.values() if helper.everywhere for mark in helper.mocks]
    before = [mark for helper in old.helpers.values() if helper.everywhere for mark in helper.mocks]
    for mark in _beyond([*old.mocks, *before], [*new.mocks, *everywhere]):
        if _is_tested(mark.text, names, modules) or mark.text in modules:
            text = f"{mark.text} is replaced, which the file tests"
            yield TestChange(path=path, kind=TestChangeKind.MOCKED, detail=text, line=mark.line)
    yield from _ending(path, old, new)


def _ending(path: str, old: Outline, new: Outline) -> Iterator[TestChange]:
    for mark in _beyond(old.exits, new.exits):
        yield TestChange(path=path, kind=TestChangeKind.EXITS, detail=mark.text, line=mark.line)
    for mark in _beyond(old.hooks, new.hooks):
        text = mark.text.partition("\0")[0]
        yield TestChange(path=path, kind=TestChangeKind.DESELECTED, detail=text, line=mark.line)
    for mark in _beyond(old.rewrites, new.rewrites):
        yield TestChange(path=path, kind=TestChangeKind.WEAKENED, detail=mark.text, line=mark.line)
