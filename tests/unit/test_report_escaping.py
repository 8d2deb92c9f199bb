"""Nothing that plans, agents, reviewers or file names say is more than text in the report (SPEC 7.4)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chargehand.adapters.text import clean_text
from chargehand.domain.evolve import fold
from chargehand.domain.plan import Files, Plan, Task
from chargehand.report import model
from chargehand.report.build import Source, build_report
from chargehand.report.html import to_html
from chargehand.report.markdown import LONGEST, code, inline, to_markdown
from chargehand.report.model import Mark, Tone
from chargehand.report.pages import Patch
from tests.engines import World

WORST = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'--></style></title></pre><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% include 'style.css' %}",
    "&lt;b&gt; &#60;b&#62;",
    "javascript:alert(1)",
    "]]><![CDATA[<b>",
    "\u202egnp.exe\u2066",
    "\x1b]8;;http://example.org\x07link\x1b]8;;\x07 \x1b[31mred",
]
hostile = st.one_of(
    st.sampled_from(WORST),
    st.text(st.sampled_from("<>&\"'/=`{}%- \nabc!?#@\u202e\x1b[0m"), min_size=1, max_size=40),
    st.text(min_size=1, max_size=60),
)
_FIXED = {"anchor", "kinds", "path_", "tasks_"}
"""Names of fields that are ours: where a link leads, and the keys of a table."""


@cache
def full() -> model.Report:
    """A report in which every field holds something."""
    mark = Mark(word="word", glyph="g", tone=Tone.BAD)
    line = model.GateLine(
        gate="g",
        where="w",
        mark=mark,
        took="1s",
        attempt=1,
        tree="t",
        command="c",
        said="s",
        tail="t",
        log="l",
        cached="c",
        flaky=("f",),
        vanished=("v",),
        failed=("x",),
        more_failed=1,
    )
    row = model.AttemptRow(
        number=1,
        role="r",
        agent="a",
        model="m",
        mark=mark,
        how="h",
        started_at=0.0,
        took="t",
        used="u",
        claim="c",
        notes=("n",),
        log="l",
    )
    verdict = model.VerdictRow(
        stage="s", mark=mark, tree="t", attempt=1, agent="a", model="m", carried=True, criteria=(("c", True, "e"),)
    )
    finding = model.Finding(
        stage="s",
        id="i",
        severity="s",
        mark=mark,
        claim="c",
        place="p",
        clause="c",
        ruling="r",
        evidence="e",
        attempt=1,
        task="t",
        parked=True,
    )
    asked = model.Asking(
        id="d",
        task="t",
        kind="k",
        question="q",
        mark=mark,
        asked_at=0.0,
        waited="w",
        choices=("c",),
        command="c",
        answer="a",
        by="b",
        note="n",
    )
    waiting = replace(asked, answer="", by="")
    file = model.FileDiff(path="p", what="w", added=1, removed=1, hunks=(model.Hunk(kind="added", text="+x\n"),), cut=1)
    change = model.TaskChange(landed=True, base="b", commit="c", files=(file, replace(file, binary=True)), note="n")
    warned = model.Warned(code="c", text="t", tasks=("t",))
    receipt = model.ReceiptRef(path="p", sha256="s")
    fact = model.Fact(label="l", text="t", code=True)
    task = model.TaskPage(
        id="t",
        anchor="task-1",
        title="t",
        mark=mark,
        reason="r",
        why="w",
        wave=1,
        asked=(("l", "t"),),
        checks=(model.CheckRow(text="t"), model.CheckRow(text="t", is_command=True)),
        facts=(fact, replace(fact, code=False)),
        files=("f",),
        attempts=(row,),
        gates=(line,),
        verdicts=(verdict,),
        findings=(finding,),
        questions=(asked, waiting),
        test_changes=("t",),
        silenced=("t",),
        left_out=("t",),
        notes=("n",),
        warnings=(warned,),
        change=change,
        receipt=receipt,
        used="u",
        open=True,
    )
    node = model.Node(anchor="task-1", label="l", title="t", tip="t", mark=mark, x=0, y=0)
    graph = model.GraphDrawing(
        nodes=(node,),
        edges=(model.Edge(path="M0 0", tone=Tone.GOOD),),
        width=1,
        height=1,
        box_width=1,
        box_height=1,
    )
    bar = model.Bar(x=0, width=1, kind="author", tip="t")
    timeline = model.Timeline(
        rows=(model.TimelineRow(label="l", anchor="task-1", mark=mark, bars=(bar,), tip="t"),),
        ticks=(model.Tick(x=1, label="l"),),
        breaks=(model.Break(x=1, width=1, label="l"),),
        kinds=("author",),
        start=0.0,
    )
    return model.Report(
        run="r",
        plan="p",
        goal="g",
        mark=mark,
        said=("s",),
        made_at=0.0,
        started_at=0.0,
        facts=(fact, model.Fact(label="base", text="b")),
        counts=((mark, 1),),
        sandbox_warning="s",
        reviews_off="r",
        criteria=(model.Criterion(text="t", mark=mark, evidence="e"),),
        warnings=(warned,),
        tasks=(task, replace(task, anchor="task-2", change=None)),
        graph=graph,
        timeline=timeline,
        attempts=(row,),
        gates=(line,),
        final_gates=(line,),
        baseline=(line,),
        verdicts=(verdict,),
        findings=(finding, replace(finding, parked=False)),
        parked=(finding,),
        open_findings=(finding,),
        questions=(asked,),
        open_questions=(waiting,),
        notes=("n",),
        next_steps=(("t", "c"),),
        receipt=receipt,
        has_receipts=True,
    )


def poisoned(value: Any, text: str) -> Any:
    """The same value with `text` in the place of every text in it."""
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return text if value else value
    if isinstance(value, tuple):
        return tuple(poisoned(each, text) for each in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed = {each.name: getattr(value, each.name) for each in fields(value) if each.name not in _FIXED}
        return replace(value, **{name: poisoned(old, text) for name, old in changed.items()})
    return value


class Skeleton(HTMLParser):
    """The tags of a page with the names of their attributes, where links lead, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.links: set[str] = set()
        self.text = ""
        self.comments = 0
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.links |= {str(value) for name, value in attrs if name in {"href", "src", "action", "xlink:href"}}

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", ()))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.comments += 1


@cache
def harmless() -> Skeleton:
    return Skeleton(to_html(poisoned(full(), "x"), logs=True))


@settings(max_examples=60, deadline=None)
@given(text=hostile)
def test_no_text_changes_what_the_page_is_made_of(text: str) -> None:
    """Whatever stands in every field: the same elements with the same attributes, and links into the page alone."""
    page = Skeleton(to_html(poisoned(full(), text), logs=True))
    assert page.tags == harmless().tags
    assert page.comments == 0
    assert all(link.startswith(("#", "./")) for link in page.links)


def test_the_page_needs_nothing_and_runs_nothing() -> None:
    page = to_html(full())
    skeleton = Skeleton(page)
    names = {tag for tag, _ in skeleton.tags}
    attributes = {name for _, own in skeleton.tags for name in own}
    assert not names & {"script", "iframe", "object", "embed", "form", "link", "base", "img", "image", "foreignobject"}
    assert not {name for name in attributes if name.startswith("on")} | (attributes & {"style", "src", "srcset"})
    assert "default-src 'none'" in page
    assert "unsafe" not in page
    assert "@import" not in page
    assert re.findall(r"url\((?!#)", page) == []
    assert all(link.startswith("#") for link in skeleton.links)


def test_the_policy_of_the_page_lets_its_own_style_sheet_through_and_no_other() -> None:
    page = to_html(full())
    style = page.split("<style>")[1].split("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = html.unescape(page.split('Content-Security-Policy" content="')[1].split('"')[0])
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_every_link_into_the_page_leads_somewhere() -> None:
    page = to_html(full())
    ids = set(re.findall(r' id="([^"]+)"', page))
    wanted = {link[1:] for link in Skeleton(page).links}
    assert wanted <= ids
    assert len(re.findall(r' id="([^"]+)"', page)) == len(ids)


def test_what_a_plan_says_is_shown_as_it_is_without_what_steers_a_screen() -> None:
    text = "".join(WORST)
    tasks = (Task(id="a", title=text, description=text, files=Files(create=(text,)), acceptance=(text,)),)
    world = World(Plan(plan="p", tasks=tasks, goal=text, success_criteria=(text,)))
    asyncio.run(world.drive())
    events = list(world.journal.read())
    patch = f"diff --git a/x b/x\n@@ -0,0 +1 @@\n+{WORST[0]}\n"
    source = Source(
        state=fold(events),
        events=events,
        now=events[-1].at,
        live=False,
        clean=clean_text,
        patches={"a": Patch(base="0" * 40, commit="1" * 40, landed=True, text=patch)},
    )
    report = build_report(source)
    page = to_html(report)
    steering = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
    assert steering.findall(page) == []
    assert steering.findall(to_markdown(report)) == []
    shown = Skeleton(page).text
    assert WORST[0] in shown
    assert WORST[3] in shown
    assert "49" not in shown.split("Written by")[0].replace("1970", "").split("Tasks")[0]


# -- Markdown -------------------------------------------------------------------------------------

_PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_OURS = {"<span>", "</span>"}
marked = st.one_of(
    hostile,
    st.text(st.sampled_from("\\`*_{}[]()#+-.!|<>~&@:$=\n 1a/"), min_size=1, max_size=40),
    st.sampled_from(
        ["@everyone", "fixes #1", "GH-1", "http://x.org", "www.x.org", "a@b.org", "$x$", ":tada:", "1. a", "- b"]
    ),
)


def rendered(source: str) -> Iterator[tuple[str, str]]:
    """(type, content) of everything in a document."""
    for token in _PARSER.parse(source):
        if token.type == "inline":
            for child in token.children or ():
                yield child.type, child.content
        else:
            yield token.type, token.content


def shown(source: str) -> str:
    parts = list(rendered(source))
    kinds = {kind for kind, content in parts if not (kind == "html_inline" and content in _OURS)}
    assert kinds <= {"paragraph_open", "paragraph_close", "text", "text_special"}, parts
    return "".join(content for kind, content in parts if kind.startswith("text"))


@settings(max_examples=300, deadline=None)
@given(text=marked)
def test_text_of_others_is_text_in_markdown(text: str) -> None:
    cleaned = clean_text(text)
    wanted = " ".join(cleaned.split())
    assert shown(f"A {inline(cleaned)}").replace("\u200b", "") == f"A {wanted}".rstrip().replace("\u200b", "")


@settings(max_examples=200, deadline=None)
@given(text=marked)
def test_text_of_others_begins_no_list_heading_or_quote(text: str) -> None:
    cleaned = clean_text(text)
    if inline(cleaned):
        assert shown(inline(cleaned)).replace("\u200b", "") == " ".join(cleaned.split()).replace("\u200b", "")


@settings(max_examples=200, deadline=None)
@given(text=marked)
def test_text_of_others_stays_in_its_cell(text: str) -> None:
    cleaned = clean_text(text)
    table = f"| a | b | c |\n|---|---|---|\n| {code(cleaned)} | {inline(cleaned)} | end |"
    parts = list(rendered(table))
    assert [kind for kind, _ in parts].count("td_open") == 3
    assert [kind for kind, _ in parts].count("tr_open") == 2
    assert parts[-5][1] == "end" or ("text", "end") in parts
    line = " ".join(cleaned.split()).replace("\u200b", "")
    found = [content.replace("\u200b", "") for kind, content in parts if kind == "code_inline"]
    assert found == ([line] if code(cleaned) else [])


@pytest.mark.parametrize("text", ["@everyone", "(@uma)", "fixes #12", "uma/todo#12", "GH-12", "gh-12", "x@y.org"])
def test_nobody_is_mentioned_and_nothing_is_referred_to(text: str) -> None:
    """What a forge looks for in the text that is shown, not in the source."""
    told = shown(f"A {inline(text)}")
    assert not re.search(r"@\w|#\d|gh-\d", told, re.IGNORECASE)


@pytest.mark.parametrize("text", ["https://example.org/x", "www.example.org", "ftp://x.org"])
def test_an_address_becomes_no_link(text: str) -> None:
    assert not re.search(r"://|www\.\w", shown(f"A {inline(text)}"))


def test_a_formula_is_none() -> None:
    assert inline("$x$") == "<span>$</span>x<span>$</span>"


def test_a_report_that_is_too_long_is_cut_and_says_so() -> None:
    task = full().tasks[0]
    long = replace(full(), tasks=tuple(replace(task, id=f"task-{n}", title="t" * 150) for n in range(1000)))
    text = to_markdown(long)
    assert LONGEST - 500 < len(text) <= LONGEST
    assert text.rstrip().endswith("All of it: `chargehand report r`.")
    assert "**Cut here**" in text
    assert "Cut here" not in to_markdown(full())


@settings(max_examples=50, deadline=None)
@given(text=hostile, most=st.integers(400, 4000))
def test_no_report_is_longer_than_it_may_be(text: str, most: int) -> None:
    assert len(to_markdown(poisoned(full(), clean_text(text) or "x"), most)) <= most + 1
