"""Reads tests of other languages by their marker words: where a test begins, what is an assertion, what skips it."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath

from chargehand.adapters.integrity.outline import EXACT, TRIVIAL, Case, Check, Mark, Outline

__all__ = ["word_outline"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """The words of a language; the first group of `test` is the name of the test."""

    test: re.Pattern[str]
    check: re.Pattern[str]
    skip: re.Pattern[str]
    exit: re.Pattern[str]
    hashes: bool = False  # comments begin with a hash sign


_NEVER = r"(?!)"


def _words(test: str, check: str, skip: str, leave: str = _NEVER, *, hashes: bool = False) -> _Words:
    compiled = [re.compile(pattern, re.MULTILINE) for pattern in (test, check, skip, leave)]
    return _Words(test=compiled[0], check=compiled[1], skip=compiled[2], exit=compiled[3], hashes=hashes)


_JVM_CHECK = (
    r"\b(?:assert\w*|verify|fail|expect|should\w*|Assertions?\.\w+|Truth\.\w+)\s*\(|\bshould(?:Be|Throw|Contain)\w*\b"
)
_JVM = _words(
    r"@(?:Test|ParameterizedTest|RepeatedTest|Property)\b(?:[^{;]|\{[^}]*\}){0,400}?\b(?:void|fun)\s+(`[^`]+`|\w+)\s*\(",
    _JVM_CHECK,
    r"@(?:Disabled\w*|Ignored?|EnabledIf\w*|EnabledOn\w*)\b|\bassume\w+\s*\(|\benabled\s*=\s*false",
    r"\bSystem\.exit\(\s*0\s*\)|\bexitProcess\(\s*0\s*\)|\bRuntime\.getRuntime\(\)\.halt\(\s*0",
)
_LANGUAGES = {
    "go": _words(
        r"^func\s+((?:Test|Fuzz|Example)\w*)\s*\(",
        r"\b[tb]\.(?:Error|Errorf|Fatal|Fatalf|Fail|FailNow)\(|\b(?:assert|require|is)\.\w+\(|\bcmp\.Diff\(|\bExpect\(",
        r"\bt\.(?:Skip|Skipf|SkipNow)\(|^//go:build\s+(?:ignore|never|skip\w*).*$|\btesting\.Short\(\)",
        r"\bos\.Exit\(\s*0\s*\)|\bsyscall\.Exit\(\s*0",
    ),
    "rs": _words(
        r"#\[(?:\w+::)?test(?:\([^)]*\))?\](?:\s*#\[[^\]]*\])*\s*(?:pub\s+)?(?:async\s+)?fn\s+(\w+)",
        r"\b(?:debug_)?assert(?:_\w+)?!\s*[(\[{]|\bpanic!\s*\(|#\[should_panic|\bunreachable!\s*\(",
        r"#\[ignore\b[^\]]*\]|#\[cfg\((?:any\(\)|FALSE|not\(test\))\)\]|#\[cfg_attr\([^)]*ignore[^)]*\)\]",
        r"\bprocess::exit\(\s*0\s*\)",
    ),
    **dict.fromkeys(("java", "kt", "kts", "scala", "groovy"), _JVM),
    **dict.fromkeys(
        ("cs", "fs", "vb"),
        _words(
            r"\[(?:Test|Fact|Theory|TestMethod|TestCase)\b[^\]]*\](?:\s*\[[^\]]*\])*\s*public\s+(?:async\s+)?[\w<>]+\s+(\w+)\s*\(",
            r"\b(?:Assert|CollectionAssert|StringAssert)\.\w+(?:<[^>]*>)?\(|\.Should\w*\(|\.Verify\(",
            r"\[(?:\w+,\s*)?(?:Ignore|Explicit)\b[^\]]*\]|\bSkip\s*=\s*\"|\bAssert\.(?:Ignore|Inconclusive|Pass)\(",
            r"\bEnvironment\.(?:Exit|_Exit)\(\s*0\s*\)",
        ),
    ),
    "rb": _words(
        r"^[ \t]*(?:(?:it|specify|scenario|test)\s*\(?\s*[\"']([^\"']*)[\"']|def\s+(test_\w+))",
        r"\b(?:expect\s*[({]|assert\w*|refute\w*|must_\w+|wont_\w+|is_expected)|\.should\b|\bflunk\b",
        r"^[ \t]*(?:xit|xdescribe|xcontext|xspecify|fit|fdescribe|fcontext)\b|^[ \t]*(?:pending|skip)\b"
        r"|,\s*(?::skip|skip:|:pending|pending:|:focus|focus:)",
        r"\bexit!?\s*\(?\s*(?:0|true)\b|^[ \t]*exit!?\s*$",
        hashes=True,
    ),
    "php": _words(
        r"function\s+(test\w+)\s*\(|\b(?:it|test)\(\s*['\"]([^'\"]*)['\"]",
        r"(?:\$this->|self::|static::)(?:assert|expect)\w*\(|\bexpect\(",
        r"markTest(?:Skipped|Incomplete)\(|->(?:skip|todo|only)\(|@group\s+skip",
        r"\b(?:exit|die)\s*\(\s*0?\s*\)\s*;",
    ),
    **dict.fromkeys(
        ("ex", "exs"),
        _words(
            r"^[ \t]*test\s+\"([^\"]*)\"",
            r"\b(?:assert|refute)(?:_\w+)?\b|\bflunk\b",
            r"@(?:module|describe)?tag\s+:?(?:skip|pending)\b",
            r"\bSystem\.halt\(\s*0?\s*\)",
            hashes=True,
        ),
    ),
    **dict.fromkeys(
        ("c", "cc", "cpp", "cxx", "h", "hpp", "m", "mm"),
        _words(
            r"\b(?:TEST(?:_F|_P|_CASE|_METHOD)?|SCENARIO|BOOST_AUTO_TEST_CASE)\s*\(\s*([^)]*)\)|-\s*\(void\)\s*(test\w+)",
            r"\b(?:(?:EXPECT|ASSERT|CHECK|REQUIRE|BOOST|TEST_ASSERT|XCTAssert|CU_ASSERT)\w*|assert)\s*\(",
            r"\bGTEST_SKIP\b|\bDISABLED_\w+|\bXCTSkip\w*|\bSKIP\s*\(|\bTEST_IGNORE\w*",
            r"\b_?exit\(\s*(?:0|EXIT_SUCCESS)\s*\)",
        ),
    ),
    "swift": _words(
        r"\bfunc\s+(test\w+)\s*\(|@Test[^\n]*\s+func\s+(\w+)",
        r"\bXCT(?:Assert|Fail)\w*\(|#expect\(|#require\(",
        r"\bXCTSkip\w*|\.disabled\(",
        r"\bexit\(\s*0\s*\)",
    ),
    "dart": _words(
        r"\b(?:test|testWidgets)\(\s*['\"]([^'\"]*)['\"]",
        r"\bexpect(?:Later)?\(|\bverify\(|\bfail\(",
        r"\bskip:\s*(?:true|['\"])|@Skip\b|\bmarkTestSkipped\(|\bsolo:\s*true",
        r"\bexit\(\s*0\s*\)",
    ),
    **dict.fromkeys(
        ("py", "pyi"),
        _words(
            r"^[ \t]*(?:async\s+)?def\s+(test\w*)\s*\(",
            r"^[ \t]*assert\b|\bself\.(?:assert|fail)\w*\(|\.assert_\w+\(|\bpytest\.(?:raises|warns|fail)\(",
            r"\b(?:mark\.(?:skip|skipif|xfail)|unittest\.skip\w*|pytest\.(?:skip|xfail|importorskip)|self\.skipTest|expectedFailure)\b",
            r"\bsys\.exit\(\s*0?\s*\)|\bos\._exit\(\s*0\s*\)|\bpytest\.exit\(",
            hashes=True,
        ),
    ),
    **dict.fromkeys(
        ("js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts", "vue", "svelte"),
        _words(
            r"\b(?:it|test|specify)(?:\.\w+)*(?:\([^)]*\))?\(\s*['\"`]([^'\"`]*)['\"`]",
            r"\bexpect(?:\.soft)?\(|\bassert(?:\.\w+)?\(|\.should\b",
            r"\b(?:it|test|describe)\.(?:skip|only|todo|fails|failing|fixme)\b|\b(?:xit|xtest|xdescribe|fit|fdescribe)\(",
            r"\bprocess\.exit\(\s*0?\s*\)",
        ),
    ),
    **dict.fromkeys(
        ("bats", "sh", "bash"),
        _words(
            r"^[ \t]*@test\s+[\"']([^\"']*)[\"']|^[ \t]*(test_\w+)\s*\(\)",
            r"^[ \t]*(?:\[\[?\s|assert\w*|refute\w*|run\b|test\s)",
            r"^[ \t]*(?:skip|startSkipping)\b",
            r"^[ \t]*exit\s+0\s*$",
            hashes=True,
        ),
    ),
}
_TRIVIAL = re.compile(
    r"""(?:assert\w*!?|True|IsTrue|AreEqual|Equal|expect|require\.\w+|assert\.\w+|XCTAssert\w*|EXPECT_TRUE|ASSERT_TRUE|CHECK|\#expect)
        \s*[(\[{]\s*(?:t\s*,\s*)?(?:true|1|(?P<same>\w+)\s*,\s*(?P=same))\s*(?:,\s*(?:true|1)\s*)?[)\]}]
      | ^[ \t]*(?:assert|refute)\s+(?:true|not\ false|True|1)\s*(?:$|,)""",
    re.VERBOSE,
)
_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_SLASH_COMMENT = re.compile(r"(?m)(?:^|(?<=[\s;{}]))//(?!go:build).*$")
_HASH_COMMENT = re.compile(r"(?m)(?:^|(?<=\s))#(?!\{).*$")


def word_outline(path: str, text: str) -> Outline | None:
    """What a file of tests says, as far as words tell; None for a language whose words are not known."""
    words = _LANGUAGES.get(PurePosixPath(path).suffix.removeprefix("."))
    if words is None:
        return None
    text = _without_comments(text, hashes=words.hashes)
    lines = _Lines(text)
    starts = [*words.test.finditer(text)]
    ends = [*(start.start() for start in starts[1:]), len(text)]
    cases: dict[str, Case] = {}
    seen: Counter[str] = Counter()
    for start, end in zip(starts, ends, strict=False):
        name = next((group for group in start.groups() if group), "")
        seen[name] += 1
        full = name if seen[name] == 1 else f"{name} #{seen[name]}"
        cases[full] = _case(full, lines, start.start(), end, words)
    return Outline(cases=cases, marks=_marks(words.skip, lines), exits=_marks(words.exit, lines))


class _Lines:
    """A text, and in which line a place of it is."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def number(self, place: int) -> int:
        """The line of a place, from 1."""
        return bisect_right(self._starts, place)

    def around(self, place: int) -> str:
        """The line that a place is in, its white space made one."""
        start = self._starts[self.number(place) - 1]
        end = self.text.find("\n", place)
        return " ".join(self.text[start : end if end >= 0 else len(self.text)][:500].split())


def _case(name: str, lines: _Lines, start: int, end: int, words: _Words) -> Case:
    checks = []
    for found in words.check.finditer(lines.text, start, end):
        line = lines.around(found.start())
        strength = TRIVIAL if _TRIVIAL.search(line) else EXACT
        checks.append(Check(subject=line, text=line, line=lines.number(found.start()), strength=strength))
    said = " ".join(lines.text[start:end].partition("(")[2].split())
    calls = frozenset(re.findall(r"\b([A-Za-z_]\w*)\s*\(", said[:100_000])) - _common(words, said[:100_000])
    return Case(
        name=name,
        line=lines.number(start),
        checks=tuple(checks),
        names=calls,
        digest=hashlib.sha256(said.encode(errors="replace")).hexdigest(),
    )


def _common(words: _Words, text: str) -> frozenset[str]:
    """Names that every test has: assertions, and the words of the language."""
    found = {match.group().strip("( .{[!\t") for match in words.check.finditer(text)}
    return frozenset(
        {name.rpartition(".")[2] for name in found} | {"if", "for", "while", "switch", "func", "fn", "def"}
    )


def _marks(pattern: re.Pattern[str], lines: _Lines) -> tuple[Mark, ...]:
    found = pattern.finditer(lines.text)
    return tuple(Mark(text=" ".join(each.group().split())[:80], line=lines.number(each.start())) for each in found)


def _without_comments(text: str, *, hashes: bool) -> str:
    """The text with its comments made blank; lines stay where they are."""
    if hashes:
        return _HASH_COMMENT.sub("", text)
    text = _BLOCK_COMMENT.sub(lambda found: "\n" * found.group().count("\n"), text)
    return _SLASH_COMMENT.sub("", text)
