"""Secrets: which they are, what they look like, and that none gets through however a stream is cut (SPEC 7.3)."""

from __future__ import annotations

import base64
import html
import json
import shlex
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.domain.secrecy import REDACTED, Strainer, Vault, forms, is_secret_name, redact, secret_values

SECRET = "hunter2/with+signs=é"


def test_values_are_secret_by_name_by_shape_and_inside_urls():
    shaped = "ghp_" + "a1" * 18
    environment = {
        "API_TOKEN": "tok-123456789",
        "SOMETHING": shaped,
        "REMOTE": f"https://{shaped[:-2]}zz@github.com/x",
        "PLAIN_REMOTE": "https://someone-with-a-long-name@host/x",
        "PROXY": "http://me:s3cr3t-pass@proxy:1",
        "BAD_URL": "http://[",
        "KEY_FILE": "/home/me/.ssh/id_rsa",
        "GOOGLE_APPLICATION_CREDENTIALS": "~/key.json",
        "DB_PASSWORD": "postgres",
        "OTHER_PASSWORD": "ChangeMe",
        "SHORT_TOKEN": "1234567",
        "PATH": "/usr/bin:/bin",
        "PWD": "/home/somebody",
    }
    assert set(secret_values(environment)) == {"tok-123456789", shaped, f"{shaped[:-2]}zz", "s3cr3t-pass"}


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        quote(SECRET, safe=""),
        quote(SECRET),
        quote_plus(SECRET),
        quote(SECRET, safe="").lower(),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        *(base64.b64encode(b"user:name"[:n] + SECRET.encode() + b"tail").decode() for n in range(6, 9)),
    ],
)
def test_every_form_is_hidden(shown):
    """Around a secret in base64 a few characters stay, which hold bits of its ends; nothing that gives it away."""
    left = redact(f"<{shown}>", [SECRET])
    assert REDACTED in left
    kept = left.replace(REDACTED, "").strip('<>"')
    assert len(kept) <= 20  # what stood before and after it, encoded
    assert not any(form in left for form in forms(SECRET))


AWKWARD = """p&s<s>/w'rd"x\\y`$é+z"""


@pytest.mark.parametrize(
    "shown",
    [
        json.dumps(json.dumps(AWKWARD)),
        json.dumps({"text": json.dumps({"key": AWKWARD}, ensure_ascii=False)}),
        json.dumps(AWKWARD).replace("/", "\\/"),
        json.dumps(AWKWARD).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),
        json.dumps(json.dumps(AWKWARD).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")),
        "p\\u0026s\\u003Cs\\u003E/w\\u0027rd\\u0022x\\\\y\\u0060$\\u00E9\\u002Bz",
        html.escape(AWKWARD),
        html.escape(AWKWARD, quote=False),
        html.escape(AWKWARD).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        html.escape(AWKWARD).replace("&#x27;", "&apos;"),
        html.escape(AWKWARD).replace("&#x27;", "&#039;"),
        shlex.quote(AWKWARD),
        json.dumps(shlex.quote(AWKWARD)),
        AWKWARD.replace("'", "'\\''"),
        '"p&s<s>/w\'rd\\"x\\\\y\\`\\$é+z"',
    ],
)
def test_a_secret_is_hidden_however_it_is_quoted(shown):
    """SPEC 7.3: in JSON that is a text in JSON, as PHP, Go and .NET write it, in HTML, in a shell's command."""
    left = redact(f"<{shown}>", [AWKWARD])
    assert REDACTED in left
    assert "w" not in left.replace(REDACTED, "")


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("SESSION_JWT", "not-of-its-shape", {"not-of-its-shape"}),
        ("APPPRIVATEKEY", "c0ffee-c0ffee", {"c0ffee-c0ffee"}),
        (
            "AZURE_STORAGE_CONNECTION_STRING",
            "AccountName=me;AccountKey=abcd/efgh+1==;EndpointSuffix=x",
            {"AccountName=me;AccountKey=abcd/efgh+1==;EndpointSuffix=x", "abcd/efgh+1=="},
        ),
        ("BUS", "Endpoint=sb://x/;SharedAccessKey=longenough", {"longenough"}),
        ("DB", "Server=x;User Id=me;Password=hunter2222;", {"hunter2222"}),
        (
            "ALERTS",
            "https://hooks.slack.com/services/T00/B00/abcdefgh1234",
            {"https://hooks.slack.com/services/T00/B00/abcdefgh1234", "T00/B00/abcdefgh1234", "abcdefgh1234"},
        ),
        (
            "ERRORS",
            "https://0123456789abcdef0123456789abcdef@o1.ingest.example/2",
            {"0123456789abcdef0123456789abcdef"},
        ),
        ("ERRORS", "https://somebody.with.a.long.name@host.example/2", set()),
        ("DOCS", "https://hooks.example.org/services/T00/B00/abcdefgh1234", set()),
    ],
)
def test_more_that_is_secret(name, value, secrets):
    assert set(secret_values({name: value})) == secrets


@pytest.mark.parametrize(
    "name", ["API_KEY", "MY_JWT", "DB_CONNECTION_STRING", "AWS_CREDENTIALS", "GITHUB_TOKEN", "DSN"]
)
def test_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["PWD", "SSH_KEY_PATH", "TOKEN_FILE", "DATABASE_URL", "MODE", "KEYBOARD"])
def test_names_of_no_secrets(name):
    assert not is_secret_name(name)


def test_what_is_short_or_known_to_all_is_no_secret():
    assert redact("the word secret7 is postgres", ["secret7", "postgres"]) == "the word secret7 is postgres"
    assert forms("secret7") == frozenset()
    assert redact("text", []) == "text"


def test_of_a_key_of_several_lines_each_line_is_secret():
    key = f"-----BEGIN PRIVATE KEY-----\n{'MIIE' * 10}\n{'abcd' * 3}\n-----END PRIVATE KEY-----\n"
    assert redact(f"x {'MIIE' * 10} y", [key]) == f"x {REDACTED} y"
    assert redact(f"x\n{key}y", [key]) == f"x\n{REDACTED}y"
    assert redact("-----BEGIN PRIVATE KEY-----", [key]) == "-----BEGIN PRIVATE KEY-----"
    assert secret_values({"DEPLOY": key}) == (key,)


def test_what_a_vault_learns_counts_from_then_on_also_for_those_beside_it():
    run = Vault(["first-secret"])
    attempt = Vault(["second-secret"], beside=run)
    assert attempt.values == ("second-secret", "first-secret")
    run.learn(["third-secret", "short"])
    assert attempt.text("first-secret second-secret third-secret short") == f"{REDACTED} {REDACTED} {REDACTED} short"
    assert run.data(b"second-secret third-secret \xff") == b"second-secret [redacted] \xff"
    assert b"first-secret" in attempt.forms
    screen = Vault(["fourth-secret"])
    screen.include(attempt)
    assert screen.text("third-secret fourth-secret") == f"{REDACTED} {REDACTED}"


KNOWN = Vault(["hunter22", "hunter22-and-more", "xyxyxyxyz", "yxyxyxyxq", SECRET])
WORDS = st.sampled_from(
    [
        "hunter22",
        "hunter22-and",
        "hunter22-and-more",
        "xyxyxyxyz",
        "yxyxyxyxq",
        "xyxyxyxyxyxyxq",
        SECRET,
        "hunt",
        "x ",
        "\n",
    ]
)


@given(st.lists(WORDS, max_size=8).map("".join), st.lists(st.integers(1, 12), min_size=1))
def test_a_secret_is_found_across_all_cuts(text, cuts):
    data, strainer, out = text.encode(), Strainer(KNOWN), b""
    while data:
        for cut in cuts:
            piece, data = data[:cut], data[cut:]
            out += strainer.feed(piece)
    out += strainer.rest()
    assert not any(form in out for form in KNOWN.forms)
    assert strainer.rest() == b""


@given(st.binary(max_size=60), st.integers(1, 9))
def test_what_holds_no_secret_passes_as_it_is(data, step):
    vault = Vault(["\x00\x01\x02\x03\x04\x05\x06\x07\x08"])
    strainer = Strainer(vault)
    out = b"".join(strainer.feed(data[at : at + step]) for at in range(0, len(data), step)) + strainer.rest()
    assert out == vault.data(data)
    assert Strainer(Vault()).feed(data) == data


def test_only_what_may_be_a_beginning_is_held_back():
    strainer = Strainer(Vault(["hunter22"]))
    assert strainer.feed(b"a line of output\n") == b"a line of output\n"
    assert strainer.feed(b"hunter2") == b""
    assert strainer.feed(b"1 ") == b"hunter21 "
