"""What an executor of Konductor says of its task: the summary it writes beside the plans, read as a report.

The file is an agent's: what it says is a claim, its review status is nobody's word but the runtime's, and whatever
cannot be read as a summary of this task is none, with one sentence that says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from chargehand.ports import Left

__all__ = ["SummaryReport", "read_summary"]

_TASK = re.compile(r"(?P<plan>\d{1,9})-task-(?P<step>\d{1,9})")
_TITLE = re.compile(r"(?i)plan[ \t]+(?P<plan>\d{1,9})[ \t]*\W{1,5}[ \t]*task[ \t]+(?P<step>\d{1,9})[ \t]+summary")
_STATUS = re.compile(r"(?is)status[ \t]*(?::[ \t]*(?P<said>.*))?")
_KIND = re.compile(r"(?is)[*_(\[]{0,3}(?P<kind>[a-z][a-z -]{2,24})[*_]{0,3}[)\]:][*_:)\]]{0,3}[ \t]+(?P<text>\S.*)")
_MARK = re.compile(r"\A[ \t]*(?:[-*+]|\d{1,9}[.)])(?:[ \t]+|\Z)")
_STATUSES = ("DONE", "DONE_WITH_CONCERNS", "NEEDS_CONTEXT", "BLOCKED")
_KINDS = {
    "correctness": "correctness",
    "security": "security",
    "spec": "spec",
    "spec deviation": "spec",
    "info": "info",
    "informational": "info",
}
_NOTHING = frozenset({"", "none", "n/a", "na", "-", "–", "—", "nothing"})
_LISTS = {
    "files created": "files_changed",
    "files modified": "files_changed",
    "tests added": "tests_added",
    "deviations from plan": "deviations",
    "deviations": "deviations",
    "decisions made": "decisions",
    "decisions": "decisions",
    "missing context": "missing_context",
}
_WORDS = ("summary", "notes")
_BYTES = 128 * 1024
_CHARS = 2_000
_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryReport:
    """Implements `ports.OwnReport`: `folder` holds the plans, relative to the work tree; `prefixes` are their numbers.

    A number is as the plan's file writes it.
    """

    folder: str
    prefixes: Mapping[int, str] = field(default_factory=dict)

    def paths(self, task: str) -> tuple[str, ...]:
        """The summary of the task; none for a task of the runtime, which belongs to no plan."""
        named = _TASK.fullmatch(task)
        if named is None:
            return ()
        plan = self.prefixes.get(int(named["plan"]), named["plan"])
        return (f"{self.folder}/{plan}-task-{named['step']}-summary.md".removeprefix("/"),)

    def read(self, left: Left) -> Mapping[str, object] | str | None:
        """The report that the summary is."""
        for path in self.paths(left.task):
            name = path.rpartition("/")[2]
            if path in left.unread:
                return f"{name}: {left.unread[path]}."
            if path in left.files:
                found = read_summary(left.files[path], left.task)
                return f"{name}: {found}" if isinstance(found, str) else found
        return None


@dataclass(slots=True)
class _Section:
    title: str
    level: int
    items: list[str] = field(default_factory=list)


def read_summary(data: bytes, task: str) -> dict[str, object] | str:
    """A summary as an object of `chargehand-report/1`; one sentence where it is none of this task."""
    if len(data) > _BYTES:
        return f"it is larger than {_BYTES} bytes."
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 (byte {error.start})."
    found = list(_sections(text.replace("\r\n", "\n").replace("\r", "\n")))
    status = _status(found)
    if isinstance(status, str):
        return status
    other = _other_task(found, task)
    return other or _report(status[0], found)


def _status(found: list[_Section]) -> tuple[str] | str:
    """The status, in a tuple; a text says what is wrong with it."""
    said = []
    for section in found:
        named = _STATUS.fullmatch(section.title) if section.level == 2 else None
        if named is not None:
            said.append((named["said"] or "\n".join(section.items[:1])).strip().split("\n", 1)[0].strip(" \t*`_"))
    if len(said) != 1:
        return "it has two statuses." if said else "it has no heading `## Status: …`."
    word = said[0].upper()
    if word not in _STATUSES:
        return f"its status is {said[0][:60]!r}; there are {', '.join(_STATUSES)}."
    return (word,)


def _other_task(found: list[_Section], task: str) -> str:
    """Why it is the summary of another task; an empty string where its title says nothing of the kind."""
    mine = _TASK.fullmatch(task)
    titles = (_TITLE.search(section.title) for section in found if section.level == 1)
    named = next((title for title in titles if title is not None), None)
    if mine is None or named is None:
        return ""
    if all(int(named[part]) == int(mine[part]) for part in ("plan", "step")):
        return ""
    return f"its title says plan {named['plan']}, task {named['step']}."


def _report(status: str, found: list[_Section]) -> dict[str, object]:
    lists: dict[str, list[str]] = {name: [] for name in dict.fromkeys(_LISTS.values())}
    words: list[str] = []
    checked: list[str] = []
    report: dict[str, object] = {"status": status}
    for section in found:
        title, items = section.title.lower(), [item for item in section.items if _says_something(item)]
        if section.level == 2 and title in _LISTS:
            lists[_LISTS[title]] += [" ".join(item.split())[:_CHARS] for item in items][:_MOST]
        elif section.level == 2 and title in _WORDS:
            words += items
        elif title in {"verification", "test results"}:
            checked += items
        elif section.level == 2 and title == "concerns":
            report["concerns"] = [_concern(item) for item in items[:_MOST]]
        elif section.level == 2 and title == "blocker" and items:
            report["blocker"] = "\n".join(items)[:_CHARS]
    lists["files_changed"] = [_path(item) for item in lists["files_changed"]]
    report |= {name: items for name, items in lists.items() if items}
    texts = {"summary": "\n".join(words)[:_CHARS], "validation": "\n".join(checked)[:_CHARS]}
    return report | {name: text for name, text in texts.items() if text}


def _says_something(item: str) -> bool:
    return item.strip().strip(".*_`").lower() not in _NOTHING


def _path(item: str) -> str:
    """A path as lists name it: in code, or before a remark."""
    code = re.match(r"`([^`\n]{1,1000})`", item)
    return code[1] if code else item.split(" (", 1)[0].split(" - ", 1)[0].split(" — ", 1)[0].strip()


def _concern(item: str) -> dict[str, str]:
    """A concern with its kind, where it begins with one that is known: `(security) …`, `**Security**: …`."""
    text = " ".join(item.split())[:_CHARS]
    named = _KIND.fullmatch(text)
    kind = _KINDS.get(named["kind"].strip().lower(), "") if named else ""
    return {"kind": kind, "text": named["text"]} if named and kind else {"text": text}


# -- the text ---------------------------------------------------------------------------------------


def _sections(text: str) -> Iterator[_Section]:
    """The headings with what stands right below each: items of lists, paragraphs, blocks of code."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark")
    parser.core.ruler.disable("inline")  # headings and lines are all that counts
    lines = text.split("\n")
    section = _Section(title="", level=0)
    tokens = parser.parse(text)
    for number, token in enumerate(tokens):
        if token.map is None or token.level > 1:
            continue
        if token.type == "heading_open" and token.level == 0:
            yield section
            section = _Section(title=tokens[number + 1].content.strip(), level=int(token.tag[1:]))
        elif token.type == "list_item_open":
            section.items.append(_MARK.sub("", "\n".join(lines[slice(*token.map)]), count=1).strip())
        elif token.level == 0 and token.type == "paragraph_open":
            section.items.append("\n".join(lines[slice(*token.map)]).strip())
        elif token.level == 0 and token.type in {"fence", "code_block"}:
            section.items.append(token.content.strip("\n"))
    yield section
