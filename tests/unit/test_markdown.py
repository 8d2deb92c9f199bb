"""Markdown as plans use it: what stands in a fence is text, and every part knows its line."""

from __future__ import annotations

from chargehand.plans.markdown import bullets, code_spans, fences, rows, sections

TEXT = """\
before
# One

- [ ] open `a b`
  more
- [x] done
  - [~] inner
- plain

```sh
# no heading
- [ ] no box
```

## Two
| # | Task | Status |
|---|------|--------|
| 1 | First \\| one | done |

Three
=====
end
"""


def test_sections_are_cut_at_headings_outside_of_fences():
    found = sections(TEXT)
    assert [(s.level, s.title, s.line) for s in found] == [(0, "", 1), (1, "One", 2), (2, "Two", 15), (1, "Three", 20)]
    assert found[0].body == "before"
    assert "# no heading" in found[1].body
    assert (found[1].first, found[1].end) == (3, 20)
    assert (found[3].first, found[3].body) == (22, "end\n")


def test_bullets_have_boxes_depth_and_lines():
    one = sections(TEXT)[1]
    found = bullets(one.body, one.first)
    assert [(b.text.split("\n")[0], b.mark, b.depth, b.line) for b in found] == [
        ("open `a b`", " ", 0, 4),
        ("done", "x", 0, 6),
        ("inner", "~", 1, 7),
        ("plain", None, 0, 8),
    ]


def test_rows_of_tables():
    two = sections(TEXT)[2]
    assert [(row.cells, row.line) for row in rows(two.body, two.first)] == [
        (("#", "Task", "Status"), 16),
        (("1", "First | one", "done"), 18),
    ]


def test_fences_and_code_spans():
    assert fences(TEXT) == (("sh", "# no heading\n- [ ] no box\n"),)
    assert code_spans("run `a b` or ``c ` d``") == ("a b", "c ` d")


def test_an_empty_document_has_one_empty_section():
    assert [(s.level, s.body) for s in sections("")] == [(0, "")]
    assert [bullets(""), rows(""), fences(""), code_spans("")] == [(), (), (), ()]
