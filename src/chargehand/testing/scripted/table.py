"""The table of steps: what each is called, what it needs and may say, and which function does it."""

from __future__ import annotations

from . import kinds, steps

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing `typing` would cost a quarter of the start-up time
    from collections.abc import Callable
    from typing import Any

__all__ = ["CONDITIONS", "STEPS", "Step"]


class Step:
    """One kind of step. `short` is what a bare value stands for; `whole`: the value is never a list of names."""

    def __init__(
        self,
        play: Callable[..., None],
        needs: dict[str, Callable[[Any], str]],
        may: dict[str, Callable[[Any], str]] | None = None,
        short: str = "",
        whole: bool = False,
    ) -> None:
        self.play = play
        self.needs = needs
        self.known = {**needs, **(may or {})}
        self.short = short
        self.whole = whole


_TO = kinds.one_of("stdout", "stderr")

STEPS = {
    "write": Step(steps.write, {"path": kinds.inside, "text": kinds.text}),
    "append": Step(steps.append, {"path": kinds.inside, "text": kinds.text}),
    "replace": Step(steps.replace, {"path": kinds.inside, "old": kinds.text, "new": kinds.text}),
    "delete": Step(steps.delete, {"path": kinds.inside}, short="path"),
    "rename": Step(steps.rename, {"path": kinds.inside, "to": kinds.inside}),
    "chmod": Step(steps.chmod, {"path": kinds.inside, "mode": kinds.mode}),
    "symlink": Step(steps.symlink, {"path": kinds.inside, "target": kinds.text}),
    "mkdir": Step(steps.mkdir, {"path": kinds.inside}, short="path"),
    "commit": Step(
        steps.commit,
        {"message": kinds.text},
        {"paths": kinds.argv, "empty": kinds.flag, "date": kinds.text},
        short="message",
    ),
    "git": Step(steps.git, {"args": kinds.argv}, short="args"),
    "wait": Step(steps.wait, {"seconds": kinds.number}, short="seconds"),
    "wait_for": Step(steps.wait_for, {"path": kinds.anywhere}, {"seconds": kinds.number}, short="path"),
    "print": Step(steps.show, {"text": kinds.text}, {"to": _TO, "repeat": kinds.count}, short="text"),
    "flood": Step(steps.flood, {"size": kinds.count}, {"to": _TO}, short="size"),
    "crash": Step(steps.crash, {"sig": kinds.signal_name}, short="sig"),
    "exit": Step(steps.leave, {"code": kinds.count}, short="code"),
    "hang": Step(
        steps.hang,
        {},
        {"how": kinds.one_of("silent", "chatter"), "ignore_signals": kinds.flag, "seconds": kinds.number},
        short="how",
    ),
    "spawn": Step(
        steps.spawn,
        {"how": kinds.one_of("plain", "setsid", "double_fork")},
        {"seconds": kinds.number, "write": kinds.anywhere, "pid": kinds.anywhere, "keep_output": kinds.flag},
        short="how",
    ),
    "stray": Step(steps.stray, {"path": kinds.anywhere}, {"text": kinds.text}, short="path"),
    "report": Step(steps.report, {"data": kinds.mapping}, short="data", whole=True),
    "report_text": Step(
        steps.report_text,
        {},
        {
            "text": kinds.text,
            "hex": kinds.text,
            "size": kinds.count,
            "symlink": kinds.anywhere,
            "fifo": kinds.flag,
            "folder": kinds.flag,
        },
        short="text",
    ),
    "report_fence": Step(steps.report_fence, {"data": kinds.mapping}, short="data", whole=True),
    "lie": Step(steps.lie, {"data": kinds.mapping}, short="data", whole=True),
    "verdict": Step(steps.answer, {"data": kinds.verdict}, short="data", whole=True),
    "restoration": Step(steps.restore, {"data": kinds.mapping}, short="data", whole=True),
    "env": Step(steps.dump, {"path": kinds.anywhere}, short="path"),
    "read_brief_check": Step(steps.read_brief_check, {"texts": kinds.texts}, short="texts"),
    "read_previous_check": Step(steps.read_previous_check, {"texts": kinds.texts}, short="texts"),
    "read_diff_check": Step(steps.read_diff_check, {"texts": kinds.texts}, short="texts"),
}

CONDITIONS = {"previous": kinds.flag, "exists": kinds.anywhere, "brief": kinds.text}
