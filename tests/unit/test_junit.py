"""Test ids out of JUnit XML."""

import os
from pathlib import Path

import pytest

from chargehand.adapters.junit import failed_tests

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
