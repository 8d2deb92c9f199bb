"""Text of others, made fit to show: no terminal sequence gets through, no secret stays."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.adapters.text import REDACTED, clean_text, redact, secret_values, shown_without
from chargehand.domain.secrecy import Vault


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b[38:2::1:2:3mtrue colour\x1b[m", "true colour"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x/\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;c2VjcmV0\x9cafter", "after"),
        ("\x1b]never ends\nnext line", "\nnext line"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1bP1$r0m\x1b\\dcs", "dcs"),
        ("\x1b_apc\x1b\\\x1b^pm\x1b\\x", "x"),
        ("\x1bc\x1b7\x1b(Breset", "reset"),
        ("10 %\r20 %\r\nend\r", "10 %\n20 %\nend\n"),
        ("bell\x07 back\x08 nul\x00 del\x7f", "bell back nul del"),
        ("a\u202eb\u2066c\ufeff", "abc"),
        ("half \ud83d pair", "half \ufffd pair"),
        ("é 漢 🙂", "é 漢 🙂"),
        ("\x1b", ""),
        ("\x1b[", ""),
        ("\x1b[999", ""),
    ],
)
def test_clean_text(raw, clean):
    assert clean_text(raw) == clean


NOISE = st.lists(
    st.sampled_from(
        ["\x1b", "[", "]", "0", ";", "m", "\x07", "\\", "\x9b", "\x9c", "\n", "\r", "P", "a", "\ud800", "\x90"]
    )
).map("".join)


@given(NOISE | st.text(st.characters(exclude_categories=[])))
def test_what_is_left_is_harmless(raw):
    """Whatever went in, nothing a terminal acts on comes out; twice is as good as once."""
    clean = clean_text(raw)
    assert not any((ord(char) < 32 and char not in "\n\t") or 0x7F <= ord(char) <= 0x9F for char in clean)
    assert clean.encode("utf-8").decode("utf-8") == clean
    assert clean_text(clean) == clean


def test_cleaning_is_linear():
    """A megabyte of openings that never close takes no longer than a megabyte of text."""
    for opening in ("\x1b]", "\x1b[", "\x1bP", "\x1b[0;", "\x1b ", "\r"):
        assert len(clean_text(opening * 300_000)) <= 300_000


def test_secret_values():
    environment = {
        "API_TOKEN": "tok-123456789",
        "GITHUB_TOKEN": "ghp_abcdefgh",
        "OPENAI_API_KEY": "sk-longlonglong",
        "AWS_SECRET_ACCESS_KEY": "aws-very-long-secret",
        "PGPASSWORD": "hunter2hunter2",
        "MONKEY": "banana-banana",
        "KEYBOARD": "azerty-azerty",
        "SHORT_TOKEN": "1234567",
        "DATABASE_URL": "postgres://me:s3cr3t-pass@db/app",
        "PAGE_URL": "https://example.org/a:b",
        "BAD_URL": "http://[",
        "PATH": "/usr/bin:/bin",
        "PWD": "/home/somebody",
        "SSH_AUTH_SOCK": "/run/user/0/agent",
    }
    values = secret_values(environment)
    assert set(values) == {
        "tok-123456789",
        "ghp_abcdefgh",
        "sk-longlonglong",
        "aws-very-long-secret",
        "hunter2hunter2",
        "s3cr3t-pass",
    }
    assert list(values) == sorted(values, key=lambda value: (-len(value), value))


def test_what_is_shown_holds_no_secret_whatever_stands_between_its_letters():
    vault = Vault(["hunter22"])
    veiled = "".join(f"{char}\x1b[1m" for char in "hunter22")
    assert shown_without(f"\x1b[31ma hunter22 {veiled}", vault) == f"a {REDACTED} {REDACTED}"
    assert shown_without("\x1b[31ma hunter22", vault) == f"\x1b[31ma {REDACTED}"
    assert shown_without("plain", vault) == "plain"


def test_redact():
    secrets = ["abcdefgh", "abcdefgh-and-more", 'line 1\n"line 2"', "short"]
    text = f"x abcdefgh-and-more y abcdefgh z short {json.dumps(secrets[2])} {secrets[2]}"
    assert redact(text, secrets) == f'x {REDACTED} y {REDACTED} z short "{REDACTED}" {REDACTED}'
    assert redact("nothing to hide", []) == "nothing to hide"
