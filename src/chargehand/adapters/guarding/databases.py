"""Commands that destroy what a database holds. Its data lie outside whatever a sandbox keeps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from chargehand.adapters.guarding.look import Call, Look, program
from chargehand.adapters.guarding.options import names
from chargehand.adapters.guarding.place import Spot

__all__ = ["look_at_databases"]

_SQL = re.compile(
    r"\bdrop\s+(?:database|schema|table|view|materialized|owned|role|user|keyspace|collection|sequence|type|extension)\b"
    r"|\btruncate\b|\balter\s+table\b[^;]*\bdrop\b|\bdelete\s+from\s+[\w.\"`]+\s*(?:;|$|\s*where\s+(?:true|1\s*=\s*1))",
    re.IGNORECASE,
)
_MONGO = re.compile(r"\bdrop(?:Database|Index(?:es)?|User)?\s*\(|\b(?:deleteMany|remove)\s*\(\s*(?:\{\s*\})?\s*\)")
_REDIS = frozenset({"flushall", "flushdb", "shutdown", "debug", "replicaof", "slaveof", "eval", "script"})
_CLIENTS = names(
    "psql mysql mariadb sqlcmd clickhouse-client cqlsh usql pgcli mycli litecli cockroach snowsql bq trino presto "
    "sqlplus isql impala-shell beeline tsql influx"
)
_LANGUAGES = names("python node ruby php rails bun deno")
_EXECUTED = re.compile(rf"(?:execute|query|exec)\w{{0,40}}\s*\(\s*[\"'`]+\s*(?:{_SQL.pattern})", re.IGNORECASE)
_FILES = frozenset({"sqlite3", "duckdb"})
_PROGRAMS = names("dropdb dropuser pg_dropcluster pg_resetwal mysql_install_db")
_VERBS = {
    "mysqladmin": r"drop\b|.*\sdrop\b|shutdown",
    "prisma": r"migrate\s+reset|db\s+push\b.*(?:--force-reset|--accept-data-loss)|db\s+execute",
    "rails": r"db:(?:drop|reset|purge|truncate_all|schema:load|structure:load|migrate:reset|seed:replant|rollback)\b",
    "rake": r"(?:\S+\s+)*db:(?:drop|reset|purge|truncate_all|schema:load|migrate:reset|seed:replant|rollback)\b",
    "manage.py": r"flush\b|reset_db\b|reset_schema\b|migrate\s+\S+\s+zero\b|dbshell\b.*(?:drop|truncate)",
    "artisan": r"migrate:(?:fresh|reset|refresh|rollback)|db:wipe",
    "console": r"doctrine:(?:database|schema):drop",
    "sqlx": r"(?:database|db)\s+(?:drop|reset)|migrate\s+revert",
    "diesel": r"database\s+reset|migration\s+(?:revert|redo)",
    "alembic": r"(?:-\S+\s+)*downgrade\b",
    "flask": r"db\s+downgrade\b",
    "knex": r"migrate:rollback|seed:run",
    "typeorm": r"schema:drop|migration:revert",
    "sequelize": r"db:drop|db:migrate:undo",
    "sequelize-cli": r"db:drop|db:migrate:undo",
    "drizzle-kit": r"push\b|drop\b",
    "sea-orm-cli": r"migrate\s+(?:fresh|reset|refresh|down)",
    "mix": r"ecto\.(?:drop|reset|rollback)",
    "flyway": r"(?:-\S+\s+)*clean\b",
    "liquibase": r"(?:-\S+\s+)*(?:drop-?all|rollback)",
    "dbmate": r"(?:-\S+\s+)*(?:drop|down|rollback)\b",
    "goose": r"(?:\S+\s+)*(?:reset|down|down-to)\b",
    "migrate": r"(?:\S+\s+)*(?:drop|down)\b",
    "wp": r"db\s+(?:drop|reset|clean)",
    "dbt": r".*--full-refresh",
}
_CLUSTERS = {"helm": r"(?:-\S+\s+)*(?:uninstall|delete|del|un|rollback|upgrade|install)\b"}
_DRY = frozenset({"--dry-run", "--help", "--sql", "--pretend", "--version"})


def look_at_databases(name: str, call: Call, look: Look) -> None:
    """Report statements and verbs that destroy, and what takes secrets from a cluster."""
    if _DRY.intersection(call.args):
        return
    name, words = _framework(name, call)
    text = " ".join(words)
    destroys = _SQL if name in _CLIENTS else _MONGO if name in {"mongo", "mongosh"} else None
    if name in _PROGRAMS or (name in _VERBS and re.match(_VERBS[name], text)):
        look.report("database", call)
    elif destroys is not None:
        if any(destroys.search(one) for one in (*_statements(call), *_files(call, look))):
            look.report("database", call)
    elif name in _LANGUAGES:
        if any(_EXECUTED.search(one) and "sqlite" not in one for one in _statements(call)):
            look.report("database", call)
    elif name == "redis-cli":
        _redis(call, look)
    elif name in _FILES and any(_SQL.search(one) for one in _statements(call)):
        file = next((word for word in call.args if not word.startswith("-")), "")
        outside = bool(file) and look.spot(file, call) in {Spot.OUTSIDE, Spot.UNKNOWN}
        look.report("database", call, inside=not outside)
    elif name in _CLUSTERS and re.match(_CLUSTERS[name], text):
        look.report("container", call)
    elif name in {"kubectl", "oc"}:
        _cluster(words, call, look)


def _framework(name: str, call: Call) -> tuple[str, tuple[str, ...]]:
    words = call.args
    if name in {"python", "php", "ruby", "node"} and words:
        first = program(words[0])
        if first in _VERBS:
            return first, words[1:]
    return ("manage.py", words) if name == "django-admin" else (name, words)


def _statements(call: Call) -> Iterator[str]:
    yield from call.args
    if call.feed is not None and call.feed.text:
        yield call.feed.text


def _files(call: Call, look: Look) -> Iterator[str]:
    """Files of statements that the command itself has written."""
    for word, after in pairwise((*call.args, "")):
        path = after if word in {"-f", "--file"} else word.partition("=")[2] if word.startswith("--file=") else ""
        known = look.script(path, call) if path else None
        if known is not None and known.text is not None:
            yield known.text


def _redis(call: Call, look: Look) -> None:
    lines = [" ".join(call.args), *(call.feed.text.splitlines() if call.feed is not None and call.feed.text else ())]
    for line in lines:
        words = line.lower().split()
        if _REDIS.intersection(words) or re.search(
            r"\bconfig\s+set\b|\bcluster\s+(?:reset|flushslots)\b", line.lower()
        ):
            look.report("database", call)


def _cluster(words: tuple[str, ...], call: Call, look: Look) -> None:
    """`kubectl get secrets -o yaml` shows them."""
    asked = any(re.match(r"secrets?(?:$|[/,])|.*,secrets?\b", word) for word in words)
    if asked and any(re.match(r"-o|--output|--template|-t", word) for word in words):
        look.report("secret_file", call, why="It reads the secrets of a cluster.")
