"""Test ids out of JUnit XML."""

import os
from pathlib import Path

import pytest

from chargehand.adapters.junit import TestIds, failed_tests, read_tests

SAMPLES = Path(__file__).parents[1] / "golden" / "junit"

PYTEST = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="1" failures="2" tests="5">
<testcase classname="tests.test_a" name="test_good" time="0.001" />
<testcase classname="tests.test_a" name="test_bad[x]" time="0.2"><failure message="no">tb</failure></testcase>
<testcase classname="tests.test_b" name="test_setup"><error message="no">tb</error></testcase>
<testcase classname="tests.test_b" name="test_later"><skipped message="why" /></testcase>
<testcase classname="" name="tests.test_c"><error message="collection failure">tb</error></testcase>
</testsuite></testsuites>"""


def read(tmp_path: Path, text: str | bytes, **options) -> tuple[str, ...] | None:
    path = tmp_path / "out.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return failed_tests(path, **options)


def test_failures_and_errors_are_failed_in_order(tmp_path):
    assert read(tmp_path, PYTEST) == ("tests.test_a::test_bad[x]", "tests.test_b::test_setup", "tests.test_c")


def test_a_single_suite_nested_suites_and_the_file_attribute(tmp_path):
    text = (
        '<testsuite name="all"><testsuite name="in"><testcase file="/w/s 1/src/a.test.js" classname="A" name="adds">'
        "<failure/></testcase></testsuite></testsuite>"
    )
    assert read(tmp_path, text, roots=["/w/s 1", "/w"]) == ("src/a.test.js::A::adds",)


def test_addresses_in_ids_do_not_differ_from_run_to_run(tmp_path):
    case = '<testcase classname="t" name="f[&lt;object at 0x7f00aa11bb22&gt;]"><failure/></testcase>'
    assert read(tmp_path, f"<testsuite>{case}</testsuite>") == ("t::f[<object at 0x<address>>]",)


def test_none_failed_is_not_the_same_as_unreadable(tmp_path):
    assert read(tmp_path, '<testsuite><testcase classname="t" name="a"/></testsuite>') == ()


BOMB = (
    '<!DOCTYPE t [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    '<testsuite><testcase classname="&b;" name="x"><failure/></testcase></testsuite>'
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not xml",
        "<testsuite><testcase>",
        "<html></html>",
        BOMB,
        BOMB.encode("utf-16"),
        "<testsuite>" + "<testsuite>" * 100 + "</testsuite>" * 100 + "</testsuite>",
        b"<?xml version='1.0' encoding='no-such'?><testsuite/>",
        b"\xff\xfe\x00broken",
    ],
)
def test_what_no_test_runner_writes_is_unreadable(tmp_path, text):
    assert read(tmp_path, text) is None


def test_bounds(tmp_path):
    assert read(tmp_path, PYTEST, limit=100) is None
    many = "".join(f'<testcase classname="t" name="n{n}"><failure/></testcase>' for n in range(10_001))
    assert read(tmp_path, f"<testsuite>{many}</testsuite>") is None


def test_links_pipes_and_missing_files_are_not_read(tmp_path):
    (tmp_path / "real.xml").write_text(PYTEST)
    (tmp_path / "link.xml").symlink_to("real.xml")
    os.mkfifo(tmp_path / "pipe.xml")
    for name in ("link.xml", "pipe.xml", "missing.xml", "."):
        assert failed_tests(tmp_path / name) is None


# -- what the runners write ---------------------------------------------------------------------------

SAID = {
    "pytest": TestIds(
        failed=(
            "tests.test_a.TestSum::test_adds[2]",
            "tests.test_a::test_both",
            "tests.test_a::test_teardown",
            "tests.test_c",
        ),
        passed=("tests.test_a.TestSum::test_adds[1]", "tests.test_a::test_path[<tmp>/data0-<time>]"),
        skipped=("tests.test_a::test_skipped", "tests.test_a::test_xfail"),
    ),
    "pytest-reruns": TestIds(
        failed=("tests.test_net::test_never",),
        passed=("tests.test_net::test_at_once", "tests.test_net::test_settles"),
        flaky=("tests.test_net::test_settles",),
    ),
    "node": TestIds(
        failed=("adds #2", "b.test.js", "broken hook::never", "parent::child", "sum::bad"),
        passed=("adds", "sum::deep::x &quot;quoted&quot; <a>", "sum::ok"),
        skipped=("later", "someday"),
    ),
    "vitest": TestIds(
        failed=('src/sum.test.ts::sum > adds 1 and "2"',),
        passed=("src/parse.test.ts::sum > adds", "src/sum.test.ts::sum > adds"),
        skipped=("src/sum.test.ts::sum > later", "src/sum.test.ts::sum > someday"),
    ),
    "jest-junit": TestIds(
        failed=("Test suite failed to run::src/broken.test.js", "calculator divides::calculator divides"),
        passed=("calculator adds::calculator adds", "calculator adds::calculator adds #2"),
        skipped=("calculator roots::calculator roots",),
    ),
    "gotestsum": TestIds(
        failed=("example.com/broken::TestMain", "example.com/calc::TestDivide"),
        passed=(
            "example.com/calc::TestAdd/small",
            "example.com/calc::TestAdd/small#01",
            "example.com/calc::TestFlaky",
        ),
        skipped=("example.com/calc::TestLater",),
        flaky=("example.com/calc::TestFlaky",),
    ),
    "go-junit-report": TestIds(
        failed=("example.com/broken::[build failed]", "example.com/calc::TestAdd/negative"),
        passed=("example.com/calc::TestAdd",),
        skipped=("example.com/calc::TestLater",),
    ),
    "nextest": TestIds(
        failed=("calc::tests::divides",),
        passed=("calc::cli::tests::adds", "calc::tests::adds", "calc::tests::settles"),
        flaky=("calc::tests::settles",),
    ),
    "surefire": TestIds(
        failed=("com.example.CalcTest::divides", "com.example.CalcTest::explodes"),
        passed=(
            "com.example.CalcTest::adds",
            "com.example.CalcTest::adds(int, int)[1]",
            "com.example.CalcTest::settles",
        ),
        skipped=("com.example.CalcTest::later",),
        flaky=("com.example.CalcTest::settles",),
    ),
}


def test_there_is_a_sample_of_each_runner():
    assert sorted(path.stem for path in SAMPLES.glob("*.xml")) == sorted(SAID)


@pytest.mark.parametrize("runner", SAID)
def test_each_runner_is_understood(runner):
    assert read_tests(SAMPLES / f"{runner}.xml", ["/tmp/ws-3", "/tmp/checkout-7f"]) == SAID[runner]


@pytest.mark.parametrize("runner", SAID)
def test_ids_are_the_same_in_another_checkout_at_another_time(runner, tmp_path):
    text = (SAMPLES / f"{runner}.xml").read_text()
    moved = text.replace("2026-11-20T13:16", "2027-01-03T08:59").replace("pytest-12/", "pytest-931/")
    other = tmp_path / "out.xml"
    other.write_text(moved.replace("/tmp/ws-3", "/srv/w/9").replace("/tmp/checkout-7f", "/srv/w/9"))
    assert read_tests(other, ["/srv/w/9"]) == SAID[runner]


def ids_in(tmp_path: Path, *cases: str, suite: str = "<testsuite>") -> TestIds:
    path = tmp_path / "out.xml"
    path.write_text(f"{suite}{''.join(cases)}</testsuite>")
    found = read_tests(path)
    assert found is not None
    return found


def test_tests_that_are_alike_are_told_apart_so_that_a_new_failure_does_not_hide_behind_an_old_one(tmp_path):
    good, bad = '<testcase classname="t" name="a"/>', '<testcase classname="t" name="a"><failure/></testcase>'
    assert ids_in(tmp_path, bad, good).failed == ("t::a",)
    assert ids_in(tmp_path, good, bad).failed == ("t::a #2",)
    assert ids_in(tmp_path, bad, bad).failed == ("t::a", "t::a #2")


@pytest.mark.parametrize(
    ("order", "state"),
    [("bg", "flaky"), ("gb", "failed"), ("bb", "failed"), ("bgg", "flaky"), ("gg", "passed"), ("bgb", "failed")],
)
def test_a_test_of_go_that_comes_twice_was_rerun(tmp_path, order, state):
    suite = '<testsuite><properties><property name="go.version" value="1"/></properties>'
    cases = {"g": '<testcase classname="t" name="a"/>', "b": '<testcase classname="t" name="a"><failure/></testcase>'}
    found = ids_in(tmp_path, *(cases[each] for each in order), suite=suite)
    assert getattr(found, state) == ("t::a",)
    assert bool(found.failed) == (state == "failed")
    assert bool(found.flaky) == (state == "flaky")


def test_a_test_without_a_class_name_is_named_after_its_suites(tmp_path):
    inner = '<testsuite name="in"><testcase name="a"/></testsuite>'
    assert ids_in(tmp_path, inner, suite='<testsuite name="all">').passed == ("all::in::a",)


def test_a_suite_that_could_not_run_has_failed(tmp_path):
    assert ids_in(tmp_path, '<error message="setup"/>', suite='<testsuite name="all">').failed == ("all",)


def test_names_are_bounded_however_long_they_are(tmp_path):
    long = "/" + "a/" * 200_000
    found = ids_in(tmp_path, f'<testcase classname="t" name="{long}"/>', f'<testcase classname="t" name="{long}"/>')
    assert [len(name) for name in found.passed] == [500, 503]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("f[2026-11-20 13:16:16,123]", "f[<time>]"),
        ("f[2026-11-20T13:16:16.089+00:00]", "f[<time>]"),
        ("f[2026-11-20]", "f[2026-11-20]"),
        ("f[45c50042-482e-477e-88d0-60cfcc3eaf95]", "f[<uuid>]"),
        ("f[/tmp/tmpab12/x]", "f[<tmp>/x]"),
        ("f[/private/var/folders/aa/bb12/T/tmp9/x]", "f[<tmp>/x]"),
        ("f[/home/me/data]", "f[/home/me/data]"),
    ],
)
def test_what_differs_from_run_to_run_is_no_part_of_an_id(tmp_path, name, expected):
    assert ids_in(tmp_path, f'<testcase classname="t" name="{name}"/>').passed == (f"t::{expected}",)
