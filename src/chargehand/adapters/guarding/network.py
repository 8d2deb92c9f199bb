"""Programs that connect to other machines."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from chargehand.adapters.guarding.look import Call, Handler, Look, program
from chargehand.adapters.guarding.options import Options, read_options
from chargehand.adapters.guarding.place import UNKNOWN, is_loopback
from chargehand.adapters.guarding.scope import Out

__all__ = ["NETWORK", "host_of"]

_CURL_SHORT = "AbcCdDeEFhHKmoPQrtTuUwxXyYz"
_CURL_LONG = (
    "--data", "--data-raw", "--data-binary", "--data-ascii", "--data-urlencode", "--header", "--output",
    "--request", "--user", "--user-agent", "--cookie", "--cookie-jar", "--form", "--form-string", "--upload-file",
    "--max-time", "--connect-timeout", "--retry", "--retry-delay", "--retry-max-time", "--write-out", "--proxy",
    "--cacert", "--capath", "--cert", "--key", "--config", "--url", "--referer", "--resolve", "--connect-to",
    "--unix-socket", "--range", "--json", "--output-dir", "--netrc-file", "--limit-rate", "--max-redirs",
    "--dump-header", "--trace", "--trace-ascii", "--stderr", "--interface", "--abstract-unix-socket",
    "--preproxy", "--socks4", "--socks4a", "--socks5", "--socks5-hostname", "--proxy1.0",
    "--aws-sigv4", "--oauth2-bearer", "--proto", "--ciphers",
    "--variable", "--expand-url", "--expand-data", "--dns-servers", "--doh-url", "--tls-max", "--etag-save",
    "--libcurl", "--hsts", "--alt-svc", "--etag-compare", "--expand-output",
)  # fmt: skip
_CURL_PROXIES = (
    *("--preproxy", "--proxy1.0", "--socks4", "--socks4a", "--socks5", "--socks5-hostname"),
    *("--dns-servers", "--dns-ipv4-addr", "--haproxy-clientip"),
)
_CURL_LOGS = (
    "--trace",
    "--trace-ascii",
    "--stderr",
    "--etag-save",
    "--libcurl",
    "--hsts",
    "--alt-svc",
    "--expand-output",
)


def host_of(url: str) -> str:
    """The host of an address as a command names it (a scheme may be missing); unknown when there is none."""
    if UNKNOWN in url.partition("//")[2].partition("/")[0] or url.startswith(UNKNOWN):
        return UNKNOWN
    try:
        parts = urlsplit(url if "://" in url else "http://" + url)
        host, _ = parts.hostname or UNKNOWN, parts.port
    except ValueError:
        return UNKNOWN
    # Programs do not agree on where the host ends in these: a backslash, several `@`, what is not printable.
    before = re.split(r"[/?#]", url.partition("://")[2] or url, maxsplit=1)[0]
    if before.count("@") > 1 or re.search(r"[^!-~]|[\\{}<>^|`\"%]", before):
        return UNKNOWN
    return host


def _goes_to(urls: tuple[str, ...], call: Call, look: Look) -> bool:
    """Ask about every host; whether any of it is another machine."""
    remote = False
    for url in urls:
        local = re.match(r"file:(?://[^/]*)?(/.*)", url, re.IGNORECASE | re.DOTALL)
        if local is not None:
            look.reads(local[1], call)
            continue
        host = host_of(url)
        look.host(host, call)
        remote = remote or not is_loopback(host)
    return remote


def _curl(call: Call, look: Look) -> Out:
    options = read_options(call.args, short=_CURL_SHORT, long=_CURL_LONG)
    remote = _goes_to(
        (*options.rest, *options.values("--url", "--expand-url", "--proxy", "-x", "--doh-url", *_CURL_PROXIES)),
        call,
        look,
    )
    if options.has("-K", "--config", "--resolve", "--connect-to", "--unix-socket", "--abstract-unix-socket"):
        look.report("network", call, why="Where it really connects cannot be told from the command.")
    sent = (
        *options.values("-d", "--data", "--data-binary", "--data-ascii", "--data-urlencode", "--json", "-F", "--form"),
    )
    files = [value.rpartition("@")[2].partition(";")[0] for value in sent if "@" in value]
    files += [value.rpartition("<")[2] for value in options.values("-F", "--form") if "=<" in value]
    files += options.values("-T", "--upload-file")
    for path in files:
        look.reads(path, call)
    if files and remote:
        look.report("upload", call)
    for path in options.values("--output-dir", *_CURL_LOGS):
        look.writes(path, call, append=True)
    return _fetched(options, ("-o", "--output", "-D", "--dump-header", "-c", "--cookie-jar"), remote, call, look)


def _fetched(options: Options, names: tuple[str, ...], remote: bool, call: Call, look: Look) -> Out:
    """What was fetched goes to a file, or to the standard output."""
    out = Out(remote=remote)
    targets = [target for target in options.values(*names) if target != "-"]
    if options.has("-O", "--remote-name") and not targets:
        targets = [program(url.partition("?")[0]) for url in options.rest]
    for target in targets:
        look.writes(target, call)
        for cwd in call.scope.cwds:
            call.scope.wrote(look.place.full(target, cwd), out)
    return out


def _wget(call: Call, look: Look) -> Out:
    options = read_options(
        call.args,
        short="oOaiBtTwQPUleARDISXBL",
        long=(
            "--output-document", "--output-file", "--directory-prefix", "--input-file", "--header", "--post-data",
            "--post-file", "--body-file", "--body-data", "--tries", "--timeout", "--user-agent", "--execute",
            "--user", "--password", "--wait", "--append-output", "--save-cookies", "--rejected-log", "--warc-file",
            "--hsts-file",
        ),
    )  # fmt: skip
    remote = _goes_to(options.rest, call, look)
    if options.has("-i", "--input-file", "-e", "--execute", "--use-askpass"):
        look.report("network", call, why="Where it really connects cannot be told from the command.")
    if options.has("--post-file", "--body-file") and remote:
        look.report("upload", call)
    for path in options.values("--post-file", "--body-file"):
        look.reads(path, call)
    for path in options.values(
        *("-P", "--directory-prefix", "-o", "--output-file", "-a", "--append-output", "--save-cookies"),
        *("--rejected-log", "--warc-file", "--hsts-file"),
    ):
        look.writes(path, call, append=True)
    out = _fetched(options, ("-O", "--output-document"), remote, call, look)
    if not options.has("-O", "--output-document"):
        for url in options.rest:
            for cwd in call.scope.cwds:
                call.scope.wrote(look.place.full(program(url.partition("?")[0]) or "index.html", cwd), out)
    return out


def _http(call: Call, look: Look) -> Out:
    """HTTPie and its like: the first word that is no method is the address."""
    words = [
        word
        for word in read_options(call.args, short="aAsopv").rest
        if word not in {"GET", "POST", "PUT", "DELETE", "HEAD"}
    ]
    address = words[0] if words else UNKNOWN
    remote = _goes_to(("localhost" + address if address.startswith(":") else address,), call, look)
    return Out(remote=remote)


def _fetcher(call: Call, look: Look) -> Out:
    """Any other program whose words are addresses."""
    options = read_options(call.args, short="oOdtTUxsjklp")
    return Out(remote=_goes_to(options.rest or (UNKNOWN,), call, look))


def _ssh(call: Call, look: Look) -> Out:
    options = read_options(call.args, short="BbcDEeFIiJLlmOoPpQRSWw", stop=True)
    for setting in options.values("-o"):
        name, _, value = re.sub(r"\s*=\s*|\s+", "=", setting.strip(), count=1).partition("=")
        if name.lower() in {"proxycommand", "localcommand", "knownhostscommand"}:
            look.shell(value, call)
    if options.has("-R", "-L", "-D", "-w", "-J"):
        look.report("network", call, why="It opens a tunnel to another machine.")
    if options.rest:
        look.host(host_of("ssh://" + options.rest[0].removeprefix("ssh://")), call)
        if len(options.rest) > 1:
            look.report("upload", call, why="It runs a command on another machine.")
    return Out(remote=True)


def _scp(call: Call, look: Look) -> None:
    options = read_options(call.args, short="cDFiJloPSXbBR")
    for text in options.values("-S"):
        look.shell(text, call)
    for path in options.rest:
        match = re.match(r"(?:scp://|sftp://)?(?:[^/:@]*@)?([^/:]+):", path)
        if match is not None or program(call.argv[0]) == "sftp":
            look.host(match[1] if match is not None else path.rpartition("@")[2], call)
    if options.rest and ":" in options.rest[-1]:
        look.report("upload", call)


def _netcat(call: Call, look: Look) -> Out:
    options = read_options(call.args, short="cegiIOopqsTVwxXm", long=("--exec", "--sh-exec", "--proxy", "--ssl-cert"))
    for text in options.values("-e", "-c", "--exec", "--sh-exec"):
        look.report("upload", call, why="It gives others a shell or a program to use.")
        look.shell(text, call)
    if options.has("-l", "--listen"):
        return Out(remote=True)
    _goes_to(options.rest[:1] or (UNKNOWN,), call, look)
    return Out(remote=True)


def _socat(call: Call, look: Look) -> Out:
    for address in read_options(call.args, short="lbtT").rest:
        kind, _, rest = address.partition(":")
        if kind.upper() in {"EXEC", "SYSTEM", "SHELL"}:
            look.shell(rest.partition(",")[0], call)
        elif "LISTEN" not in kind.upper() and kind.upper().startswith(
            ("TCP", "UDP", "OPENSSL", "SOCKS", "PROXY", "SCTP")
        ):
            look.host(rest.partition(":")[0], call)
    return Out(remote=True)


def _openssl(call: Call, look: Look) -> None:
    words = list(call.args)
    if words[:1] == ["s_client"]:
        target = words[words.index("-connect") + 1] if "-connect" in words[:-1] else words[-1]
        look.host(target.partition(":")[0], call)


def _lookup(call: Call, look: Look) -> None:
    """Names are looked up by a server: a question with data in it leaves the machine."""
    options = read_options(call.args, short="cisWwItTpmMlQ")
    for word in options.rest:
        if not word.startswith("+") and word.upper() not in {"A", "AAAA", "MX", "TXT", "NS", "ANY", "CNAME", "SOA"}:
            look.host(word.lstrip("@"), call)


def _database(call: Call, look: Look) -> None:
    options = read_options(
        call.args, short="hHupPUdDacefFnN", long=("--host", "--port", "--user", "--username", "--dbname")
    )
    hosts = [*options.values("-h", "--host", "-H")]
    hosts += [host_of(word) for word in (*options.rest, *options.values("-d", "--dbname", "-u")) if "://" in word]
    for host in hosts:
        if not host.startswith("/"):
            look.host(host, call)
    for text in options.values("-c", "-e", "--command", "--execute"):
        for line in re.findall(r"(?:\\!|^\s*system)\s*(.+)", text):
            look.shell(line, call)


def _cloud(call: Call, look: Look) -> None:
    if not set(call.args) & {"help", "--version", "version"} and not _local_endpoint(call):
        look.report("network", call, why="It acts on an account in the cloud.")


def _local_endpoint(call: Call) -> bool:
    urls = [
        word.partition("=")[2] or after
        for word, after in zip(call.args, (*call.args[1:], ""), strict=True)
        if "endpoint" in word
    ]
    return bool(urls) and all(is_loopback(host_of(url)) for url in urls)


def _mail(call: Call, look: Look) -> None:
    look.report("upload", call, why="It sends mail.")


def _tunnel(call: Call, look: Look) -> None:
    look.report("network", call, why="It opens a tunnel to this machine.")


NETWORK: dict[str, Handler] = {
    "curl": _curl,
    "wget": _wget,
    "wget2": _wget,
    **dict.fromkeys(("http", "https", "xh", "xhs", "curlie"), _http),
    **dict.fromkeys(
        ("aria2c", "axel", "lynx", "w3m", "links", "elinks", "lftp", "ftp", "tftp", "telnet", "fetch"), _fetcher
    ),
    **dict.fromkeys(("xdg-open", "websocat", "grpcurl", "whois", "traceroute", "tracepath", "mtr"), _fetcher),
    **dict.fromkeys(("ssh", "mosh", "autossh", "slogin", "rsh"), _ssh),
    **dict.fromkeys(("scp", "sftp"), _scp),
    **dict.fromkeys(("nc", "ncat", "netcat"), _netcat),
    "socat": _socat,
    "openssl": _openssl,
    **dict.fromkeys(("dig", "nslookup", "host", "ping", "ping6", "drill"), _lookup),
    **dict.fromkeys(
        ("psql", "mysql", "mariadb", "redis-cli", "mongosh", "mongo", "pg_dump", "mysqldump", "pg_restore"), _database
    ),
    **dict.fromkeys(
        ("aws", "gcloud", "az", "gsutil", "s3cmd", "rclone", "doctl", "heroku", "flyctl", "fly", "vercel"), _cloud
    ),
    **dict.fromkeys(("netlify", "wrangler", "firebase", "oci", "ibmcloud", "supabase", "railway"), _cloud),
    **dict.fromkeys(("mail", "mailx", "sendmail", "mutt", "msmtp", "swaks"), _mail),
    **dict.fromkeys(("ngrok", "cloudflared", "localtunnel", "bore", "tailscale"), _tunnel),
}
