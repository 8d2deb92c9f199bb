"""Code that prints the environment, or takes a secret out of it, in the languages that are not parsed."""

from __future__ import annotations

import re

from chargehand.adapters.guarding.look import Call, Look
from chargehand.adapters.guarding.options import names
from chargehand.adapters.guarding.place import is_secret_name

__all__ = ["look_at_environment"]

_JS = re.compile(
    r"\benv\b[^;{}]*\}\s*=\s*(?:globalThis\s*\.\s*)?(?:process|require|Bun|await\s+import)\b"
    r"|\[\s*(['\"`])env\1\s*\](?!\s*[.\[])|\bprocess\s*(?:\?\.|\.)\s*env\b(?!\s*(?:\?\.|\.)\s*\w|\s*\[\s*['\"])(?!\w)"
    r"|\bprocess['\"]\s*\)\s*\.\s*env\b(?!\s*\.\s*\w)|\b(?:Bun\s*\.\s*env|import\.meta\.env)\b(?!\s*\.\s*\w)|\benv\s*\.\s*toObject\b"
    r"|\bprocess\s*\.\s*report\b"
)
_WHOLE = {
    **dict.fromkeys(names("node deno bun"), _JS),
    "perl": re.compile(
        r"%\s*\{?\s*(?:main)?(?:::)?ENV\b|@\s*\{?(?:main)?(?:::)?ENV\b|\$ENV\s*\{\s*\$|\{\s*['\"]?ENV['\"]?\s*\}"
    ),
    "ruby": re.compile(
        r"\bENV\b(?!\s*(?:\[\s*['\":]|\.\s*(?:fetch|key\?|has_key\?|include\?|delete)\b|\s*\[\w+\]\s*=))|const_get"
    ),
    "php": re.compile(r"\bgetenv\s*\(\s*\)|\$_(?:ENV|SERVER)\b(?!\s*\[)|\bphpinfo\b|\$GLOBALS\b"),
    "awk": re.compile(r"\bENVIRON\b(?!\s*\[\s*\")|\bPROCINFO\b(?!\s*\[)"),
    "Rscript": re.compile(r"\bSys\.getenv\s*\(\s*\)"),
    "julia": re.compile(r"\bENV\b(?!\s*\[)"),
    "elixir": re.compile(r"System\.get_env\s*(?:\(\s*\)|$)"),
    "groovy": re.compile(r"System\.getenv\s*\(\s*\)"),
    "tclsh": re.compile(r"\b(?:parray|array\s+get|array\s+names)\s+(?:::)?env\b"),
}
_NAMED = re.compile(
    r"(?:\benv\s*(?:\?\.|\.)\s*|\benv\s*\[\s*['\"`]|\bENV\s*\[\s*['\":]|\bENV\s*\.\s*fetch\s*\(?\s*['\"]|\$ENV\s*\{\s*['\"]?"
    r"|getenv\s*\(\s*['\"]|\bENVIRON\s*\[\s*\"|\$_(?:ENV|SERVER)\s*\[\s*['\"]|get_env\s*\(\s*['\"])(\w+)"
)
_JQ = re.compile(r"(?:\$ENV|(?<![\w.$\"'/-])env)\b(?!\s*:)(?:\s*\.\s*(\w+)|\s*\[\s*\"(\w+)\"\s*\]|\s*\(\s*(\w+)\s*\))?")


def look_at_environment(name: str, call: Call, look: Look) -> None:
    """Report code on the command line, or from a known input, that reads the environment: all of it, or a secret."""
    if name in {"jq", "gojq", "jaq", "yq"}:
        _jq(call, look)
        return
    whole = _WHOLE.get(name)
    if whole is None:
        return
    texts = [*call.args, *([call.feed.text] if call.feed is not None and call.feed.text else [])]
    for text in texts:
        if whole.search(text):
            look.report("environment", call, inside=True)
        if any(is_secret_name(variable) for variable in _NAMED.findall(text)):
            look.report("secret_variable", call, inside=True)


def _jq(call: Call, look: Look) -> None:
    words = list(call.args)
    while words and words[0].startswith("-"):
        takes = {"--arg": 2, "--argjson": 2, "--slurpfile": 2, "--rawfile": 2, "--indent": 1, "-L": 1, "-f": 1}
        del words[: 1 + takes.get(words[0], 0)]
    for found in _JQ.finditer(words[0]) if words else ():
        variable = found[1] or found[2] or found[3]
        if variable is None:
            look.report("environment", call, inside=True)
        elif is_secret_name(variable):
            look.report("secret_variable", call, inside=True)
