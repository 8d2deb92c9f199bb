"""From changed files to where the change silences checks: bounded, and never an error, whatever the files hold."""

from __future__ import annotations

from collections.abc import Iterable

from chargehand.adapters.integrity.configs import is_checker_config, silenced
from chargehand.adapters.integrity.find import Changed
from chargehand.adapters.integrity.suppressions import may_suppress, new_suppressions
from chargehand.adapters.text import clean_text
from chargehand.domain.silencing import Silenced, SilencedBy

__all__ = ["find_silenced", "is_checker_config", "may_suppress"]

_MOST = 200
_DETAIL = 200


def find_silenced(files: Iterable[Changed]) -> tuple[Silenced, ...]:
    """The comments and settings that a change adds and that silence a check, by path and line, at most 200."""
    changed = sorted((file for file in files if file.existed or file.exists), key=lambda file: file.path)
    read = [file for file in changed if not file.unread]
    code = [(file.path, file.old or "", file.new or "") for file in read if may_suppress(file.path)]
    found = [
        Silenced(path=path, by=SilencedBy.COMMENT, detail=each.text, line=each.line)
        for path, each in new_suppressions(code)
    ]
    for file in read:
        if is_checker_config(file.path):
            found += silenced(file.path, file.old, file.new)
    text = "what it silences was not looked at: too much changed at once"
    found += [Silenced(path=each.path, by=SilencedBy.COMMENT, detail=text) for each in changed if each.unread]
    ordered = sorted(dict.fromkeys(found), key=lambda each: (each.path, each.line, each.by, each.detail))
    return tuple(_shown(each) for each in ordered[:_MOST])


def _shown(each: Silenced) -> Silenced:
    detail = clean_text(each.detail).replace("\n", " ")[:_DETAIL]
    return Silenced(path=each.path, by=each.by, detail=detail, line=each.line)
