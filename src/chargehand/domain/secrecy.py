"""What must not be written down: which variables hold secrets, and the shapes in which their values appear (SPEC 7.3).

A secret shorter than eight characters is left alone: hiding it would hide half of every text. A value that the whole
world knows (`postgres`, `changeme`) is no secret.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote, quote_plus, urlsplit

__all__ = ["REDACTED", "SHORTEST_SECRET", "Strainer", "Vault", "forms", "is_secret_name", "redact", "secret_values"]

REDACTED = "[redacted]"
SHORTEST_SECRET = 8

_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|KEY|APIKEY|CREDENTIALS?|CREDS?|AUTH|AUTHORIZATION|COOKIE"
    r"|DSN|PAT|JWT|CONNECTION_?STRING|CONN_?STR)(?:_|\d|$)"
    r"|(?:TOKEN|SECRET|PASSWORD|APIKEY|PRIVATEKEY|ACCESSKEY|SECRETKEY|CONNECTIONSTRING|JWT)$",
    re.IGNORECASE,
)
_SHAPE = re.compile(
    r"sk-[\w-]{16,}|[sr]k_(?:live|test)_\w{16,}|gh[pousr]_\w{30,}|github_pat_\w{22,}|glpat-[\w-]{20,}|xox[abeoprs]-[\w-]{10,}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}|npm_\w{36}|pypi-[\w-]{50,}|eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*"
    r"|https://(?:hooks\.slack\.com|(?:[\w-]+\.)?discord(?:app)?\.com/api/webhooks)/\S+",
    re.DOTALL,
)
_KEY_LIKE = re.compile(r"[0-9a-f]{16,}|(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[\w-]{20,}")
"""What stands alone before a host and is no name of anybody's, as in the addresses that errors are sent to."""
_HOOK = re.compile(r"https://[^/]+/(?:services|workflows|triggers|api/webhooks)/(\S+)")
_CONNECTION = re.compile(
    r"(?:^|;)\s*(?:AccountKey|SharedAccessKey|SharedAccessSignature|Password|Pwd|Secret)\s*=\s*([^;]+)", re.IGNORECASE
)
_PUBLIC = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK"})  # paths that would vanish from every message
_PLACE_NAME = re.compile(r"(?:_PATH|_FILE|_DIR|_HOME|_SOCK|CREDENTIALS)$", re.IGNORECASE)
_KNOWN_TO_ALL = frozenset(
    {
        *("password", "password1", "password123", "passw0rd", "postgres", "postgresql", "changeme", "change-me"),
        *("change_me", "changeit", "changethis", "disabled", "required", "optional", "anonymous", "unlimited"),
        *("undefined", "localhost", "minioadmin", "administrator", "12345678", "123456789", "1234567890", "redacted"),
        *("undisclosed", "notasecret", "not-a-secret", "chargehand"),
    }
)
_LINE = 16
"""A line of this length stands for a secret of several lines, of which a text often shows only a part."""


def secret_values(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables that are secret by their name or their shape, and those inside URLs, longest first."""
    found = {value for name, value in environment.items() if _is_secret(name, value)}
    found |= {secret for value in environment.values() for secret in (*_in_url(value), *_CONNECTION.findall(value))}
    return _sorted(found)


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret, as far as a name tells."""
    is_place = _PLACE_NAME.search(name) is not None and not name.upper().endswith("CREDENTIALS")
    return name not in _PUBLIC and not is_place and _NAME.search(name) is not None


def _is_secret(name: str, value: str) -> bool:
    if name in _PUBLIC or (_PLACE_NAME.search(name) and value.startswith(("/", "~"))):
        return False
    return _NAME.search(name) is not None or _SHAPE.fullmatch(value.strip()) is not None


def _in_url(value: str) -> Iterator[str]:
    """The password of a URL, or the token that stands alone before its host; of a webhook what only its owner knows."""
    try:
        parts = urlsplit(value) if "://" in value else None
        user, password = (parts.username or "", parts.password or "") if parts is not None else ("", "")
    except ValueError:
        return
    if password:
        yield password
    if _SHAPE.fullmatch(user) or _KEY_LIKE.fullmatch(user):
        yield user
    if _SHAPE.fullmatch(value.strip()) and (hook := _HOOK.match(value.strip())):
        yield hook[1]
        yield hook[1].rpartition("/")[2]


def _sorted(values: Iterable[str]) -> tuple[str, ...]:
    kept = {value for value in values if len(value) >= SHORTEST_SECRET and value.lower() not in _KNOWN_TO_ALL}
    return tuple(sorted(kept, key=lambda value: (-len(value), value)))


def forms(secret: str) -> frozenset[str]:
    """What a secret looks like in text: as it is, in JSON, also inside JSON, quoted for a shell, in HTML and in URLs.

    And in base64 at any offset, and in hexadecimal. Of a secret of several lines each long line counts by itself. None
    for one that is too short.
    """
    if len(secret) < SHORTEST_SECRET:
        return frozenset()
    lines = [line.strip() for line in secret.splitlines()] if "\n" in secret else []
    pieces = {secret, secret.strip(), *(line for line in lines if len(line) >= _LINE and not line.startswith("-----"))}
    return frozenset(form for piece in pieces for form in _forms(piece) if len(form) >= SHORTEST_SECRET)


def _forms(secret: str) -> Iterator[str]:
    for written in {secret, *_quoted(secret), *_in_html(secret)}:
        yield written
        for once in _in_json(written):
            yield once
            yield from _in_json(once)
    data = secret.encode("utf-8", "surrogateescape")
    for escaped in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield escaped
        yield re.sub("%..", lambda found: found[0].lower(), escaped)
    yield data.hex()
    yield data.hex().upper()
    for encode in (b64encode, urlsafe_b64encode):
        yield encode(data).decode("ascii")
        for offset in range(3):
            # The characters that share bits with what stands before or after the secret differ from text to text.
            whole = encode(b"\0" * offset + data).decode("ascii")
            yield whole[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]


def _in_json(text: str) -> Iterator[str]:
    """As writers of JSON have it: some escape more than they must (`\\/`, `\\u0026`, `\\u002B`)."""
    escaped = json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield escaped
    yield escaped.replace("/", "\\/")
    yield re.sub("[&<>]", lambda found: f"\\u{ord(found[0]):04x}", escaped)
    capital = re.sub(r"\\u[0-9a-f]{4}", lambda found: "\\u" + found[0][2:].upper(), escaped.replace('\\"', "\\u0022"))
    yield re.sub("[&<>'+`]", lambda found: f"\\u{ord(found[0]):04X}", capital)


def _quoted(text: str) -> Iterator[str]:
    """As shells have it: within single quotes, within double ones, and with a backslash before all that is special."""
    yield text.replace("'", "'\"'\"'")
    yield text.replace("'", "'\\''")
    yield re.sub(r'([\\"$`])', r"\\\1", text)
    yield re.sub(r"([^\w@%+=:,./-])", r"\\\1", text)


def _in_html(text: str) -> Iterator[str]:
    base = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield base
    for double, single in (("&quot;", "&#x27;"), ("&quot;", "&#39;"), ("&#34;", "&#39;"), ("&quot;", "&#039;")):
        yield base.replace('"', double).replace("'", single)
    yield base.replace('"', "&quot;").replace("'", "&apos;")
    yield base.replace('"', "&quot;")


def redact(text: str, secrets: Sequence[str]) -> str:
    """`text` with every secret replaced, in all its forms."""
    return Vault(secrets).text(text) if secrets else text


class Vault:
    """The secrets that are known now. It can learn more, and whoever holds it redacts those from then on, too.

    `beside` is another vault whose secrets count as well, those that it learns later included.
    """

    def __init__(self, values: Iterable[str] = (), beside: Vault | None = None) -> None:
        self._own = set(_sorted(values))
        self._beside = beside
        self._edition = 0
        self._known: tuple[int, ...] = ()
        self._forms: tuple[str, ...] = ()
        self._bytes: tuple[bytes, ...] = ()

    def include(self, other: Vault) -> None:
        """Count the secrets of another vault as well, in place of those of an earlier one."""
        self._beside = other
        self._edition += 1

    def learn(self, values: Iterable[str]) -> None:
        """Take more secrets in."""
        self._own.update(_sorted(values))
        self._edition += 1

    @property
    def values(self) -> tuple[str, ...]:
        """All secrets, longest first."""
        return _sorted(self._own | set(self._beside.values)) if self._beside is not None else _sorted(self._own)

    @property
    def forms(self) -> tuple[bytes, ...]:
        """What they look like in UTF-8, longest first."""
        self._refresh()
        return self._bytes

    def text(self, text: str) -> str:
        """The text with every secret replaced."""
        self._refresh()
        for form in self._forms:
            if form in text:
                text = text.replace(form, REDACTED)
        return text

    def data(self, data: bytes) -> bytes:
        """The bytes with every secret replaced."""
        for form in self.forms:
            if form in data:
                data = data.replace(form, REDACTED.encode())
        return data

    @property
    def _editions(self) -> tuple[int, ...]:
        """What changes whenever there is more to know."""
        beside = self._beside
        return (self._edition,) if beside is None else (self._edition, id(beside), *beside._editions)

    def _refresh(self) -> None:
        editions = self._editions
        if editions != self._known:
            self._known = editions
            found = {form for value in self.values for form in forms(value)}
            self._forms = tuple(sorted(found, key=lambda form: (-len(form), form)))
            self._bytes = tuple(form.encode("utf-8", "surrogateescape") for form in self._forms)


class Strainer:
    """Takes secrets out of a stream of bytes, however it is cut into pieces.

    What may be the beginning of a secret is held back until more has come; `rest` is the end of the stream.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What may be written now."""
        data = self._held + piece
        end = self._safe(data)
        self._held = data[end:]
        return self._vault.data(data[:end])

    def rest(self) -> bytes:
        """What was held back."""
        held, self._held = self._held, b""
        return self._vault.data(held)

    def _safe(self, data: bytes) -> int:
        """Where what is held back begins: nowhere inside a whole secret, and before every beginning of one."""
        known = self._vault.forms
        if not known:
            return len(data)
        start = max(0, len(data) - len(max(known, key=len)) + 1)
        end = _beginning(data, known, start)
        while (after := _straddled(data, known, end)) > end:
            end = _beginning(data, known, max(start, after))
        return end


def _beginning(data: bytes, known: Sequence[bytes], start: int) -> int:
    """The first place from `start` on at which the rest of the data is a proper beginning of a form."""
    firsts = {form[0] for form in known}
    for at in range(start, len(data)):
        if data[at] in firsts:
            rest = data[at:]
            if any(len(form) > len(rest) and form.startswith(rest) for form in known):
                return at
    return len(data)


def _straddled(data: bytes, known: Sequence[bytes], end: int) -> int:
    """Where the whole secret ends that begins before `end` and ends behind it; `end` where there is none."""
    if end == len(data):
        return end
    for form in known:
        at = data.find(form, max(0, end - len(form) + 1))
        if 0 <= at < end < at + len(form):
            return at + len(form)
    return end
