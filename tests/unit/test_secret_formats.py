"""Formats of keys, and what only looks like one (SPEC 7.3). No key here was ever one: all are made up at run time."""

from __future__ import annotations

import base64
import json
import random
import string

import pytest

from chargehand.adapters.secret_formats import is_excused, is_generated, spot, without_secrets

ALNUM = string.ascii_letters + string.digits
_random = random.Random(7)


def made(count: int, letters: str = ALNUM) -> str:
    return "".join(_random.choice(letters) for _ in range(count))


def jwt() -> str:
    head, body = ({"alg": "HS256", "typ": "JWT"}, {"sub": "17", "name": "A"})
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (head, body)]
    return ".".join((*parts, made(43)))


KEYS = {
    "AKIA" + made(16, string.ascii_uppercase + string.digits): "AWS Access Key",
    "ghp_" + made(36): "GitHub Token",
    "github_pat_" + made(82): "GitHub Token",
    "glpat-" + made(20): "GitLab Token",
    "xoxb-" + made(11, string.digits) + "-" + made(24): "Slack Token",
    "sk_live_" + made(24): "Stripe Access Key",
    "sk-ant-api03-" + made(90): "Anthropic API Key",
    "sk-proj-" + made(74) + "T3BlbkFJ" + made(74): "OpenAI API Key",
    "sk-" + made(20) + "T3BlbkFJ" + made(20): "OpenAI API Key",
    "AIza" + made(35): "Google API Key",
    "GOCSPX-" + made(28): "Google OAuth Secret",
    "npm_" + made(36): "npm Token",
    "pypi-AgEIcHlwaS5vcmc" + made(80): "PyPI Token",
    "SG." + made(22) + "." + made(43): "SendGrid API Key",
    "hf_" + made(34, string.ascii_letters): "Hugging Face Token",
    "AccountKey=" + made(86) + "==": "Azure Storage Key",
    jwt(): "JSON Web Token",
}


def kinds(*lines: str) -> set[str]:
    return {found.kind for found in spot(lines, range(1, len(lines) + 1))}


@pytest.mark.parametrize(("key", "kind"), KEYS.items(), ids=KEYS.values())
def test_the_format_of_a_key_is_known_wherever_it_stands(key, kind):
    for line in (
        f'KEY = "{key}"',
        key,
        f"export TOKEN={key}",
        f"curl -H 'Authorization: Bearer {key}' x",
        "x" * 7990 + " " + key,
    ):
        (found,) = {(each.kind, each.line) for each in spot(["", line], [1, 2])}
        assert found == (kind, 2)
        assert any(each.value in key or key in each.value for each in spot([line], [1]))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("line", ["secret{}", "secret_{}", "SECRET_{}", "{}_secret", "x={};{}", "{}secret", "aB3{}"])
def test_a_key_next_to_a_word_is_not_shown(key, line):
    """Whatever stands right beside a key, with nothing in between: `show --diff` does not show it."""
    shown = without_secrets(f"+{line.format(key, key)}\n+next")
    assert key[: max(12, len(key) * 2 // 3)] not in shown
    assert shown.endswith("\n+next")


def test_two_keys_side_by_side_are_both_hidden():
    aws, github = "AKIA" + made(16, string.ascii_uppercase + string.digits), "ghp_" + made(36)
    for text in (aws + github, github + aws, f"secret{aws}", f"SECRET{aws}SECRET", f"secret: {github}, {aws}"):
        shown = without_secrets(text)
        assert aws not in shown
        assert github not in shown


def test_an_aws_key_in_a_name_counts_as_one():
    aws = "AKIA" + made(16, string.ascii_uppercase + string.digits)
    assert kinds(f"secret{aws}") == kinds(f"secret_{aws}_old") == kinds(f"{aws}secret") == {"AWS Access Key"}
    assert kinds(f"MFRGG{aws}MFRGG") == set(), "base32 of something else"
    assert without_secrets("secretAKIAIOSFODNN7EXAMPLE") == "secretAKIAIOSFODNN7EXAMPLE"


def test_the_secret_half_of_an_aws_key_is_known_by_its_name():
    assert kinds(f"aws_secret_access_key = {made(40)}") == {"AWS Access Key"}
    assert kinds(f"aws key commit: {made(40, '0123456789abcdef')}") == set()


def test_a_private_key_counts_with_what_is_in_it():
    body = [made(64) for _ in range(4)]
    lines = ["-----BEGIN RSA PRIVATE KEY-----", *body, "-----END RSA PRIVATE KEY-----", "after"]
    (found,) = spot(lines, [1])
    assert found.kind == "Private Key"
    assert found.value.split("\n")[1:5] == body
    assert "after" not in found.value
    escaped = "-----BEGIN PRIVATE KEY-----\\n" + made(64) + "\\n-----END PRIVATE KEY-----"
    assert kinds(f'"private_key": "{escaped}"') == {"Private Key"}
    assert kinds('if "BEGIN RSA PRIVATE KEY" in text:', "    return True", "", "") == set()


def test_a_password_in_a_url_counts_unless_everybody_knows_it():
    secret = made(14)
    assert kinds(f"DATABASE_URL=postgres://app:{secret}@db.internal:5432/app") == {"Basic Auth Credentials"}
    harmless = [
        "postgres://postgres:postgres@db/app",
        "https://user:password@host/x",
        f"redis://me:{secret}@localhost:6379",
        f"http://me:{secret}@127.0.0.1:80",
        f"https://me:{secret}@api.example.com/v1",
        "https://me:$PASSWORD@api.internal",
        "https://me:{password}@api.internal",
        "git@github.com:me/x.git",
        "https://host:8080/a@b",
    ]
    assert kinds(*harmless) == set()


@pytest.mark.parametrize(
    "line",
    [
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
        "token = 'ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'",
        "key = sk-ant-api03-your-key-goes-here-please-and-so-on",
        'sha = "3b18e512dba79e4c8300dd08aeb37f8e728b8dad"',
        "integrity sha512-" + made(86) + "==",
        "uuid: 123e4567-e89b-12d3-a456-426614174000",
        "the task-runner and sk-learn are eyJust words",
        "pip install pypi-attestations; npm_config_cache=/x; NPM is fine",
        'password = "correct horse battery staple"',
        "risk-assessment-" + made(50, string.ascii_lowercase),
    ],
)
def test_what_only_looks_like_a_key_is_let_through(line):
    assert kinds(line) == set()


def test_the_usual_marks_excuse_a_line_and_only_that():
    key = next(iter(KEYS))
    lines = [
        f"{key}  # pragma: allowlist secret",
        "# pragma: allowlist nextline secret",
        key,
        key,
        f"// {key} pragma: whitelist secret",
    ]
    assert [found.line for found in spot(lines, range(1, 6))] == [4]
    assert [is_excused(lines, number) for number in range(1, 6)] == [True, False, True, False, True]


def test_files_full_of_hashes_are_known_by_their_names():
    assert all(
        map(is_generated, ["package-lock.json", "a/yarn.lock", "poetry.lock", "go.sum", "x/app.min.js", "a.js.map"])
    )
    assert not any(map(is_generated, ["lock.py", "settings.json", "go.summary", "deadlock/x.py"]))


def test_a_text_is_shown_without_what_looks_like_a_secret():
    key = next(iter(KEYS))
    assert without_secrets(f"+a\n+key = {key}\n b") == "+a\n+key = [redacted]\n b"
    assert without_secrets("nothing\nhere eyJ") == "nothing\nhere eyJ"
