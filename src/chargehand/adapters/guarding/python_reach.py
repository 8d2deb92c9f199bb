"""What parsed Python takes from its environment, and where it connects to. Nothing of it is executed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chargehand.adapters.guarding.network import host_of
from chargehand.adapters.guarding.options import names
from chargehand.adapters.guarding.place import UNKNOWN

__all__ = ["Connections", "Names", "environment_uses", "uses_network"]

_ENVIRONMENTS = frozenset({"environ", "environb"})
_ONE = frozenset({"get", "pop", "setdefault", "__getitem__"})
_QUIET = frozenset({"update", "clear", "keys", "__contains__", "__setitem__", "__delitem__"})
_COPIES = frozenset({"dict", "copy", "deepcopy", "ChainMap"})
_STARTS = names("run call check_call check_output Popen create_subprocess_exec create_subprocess_shell Process spawn")
_CONNECTS = names(
    "connect connect_ex create_connection open_connection create_datagram_endpoint HTTPConnection HTTPSConnection "
    "gethostbyname gethostbyname_ex gethostbyaddr getaddrinfo getnameinfo FTP FTP_TLS SMTP SMTP_SSL IMAP4 IMAP4_SSL "
    "POP3 POP3_SSL Telnet sendto"
)
_LISTENS = frozenset({"bind", "listen", "accept", "start_server", "create_server", "socketpair", "gethostname"})
_OPENS = frozenset({"urlopen", "urlretrieve"})
_CLIENTS = frozenset({"requests", "httpx", "urllib3", "aiohttp"})
_VERBS = names("get post put patch delete head options request stream")
_ABOUT = frozenset({"__version__", "__file__", "__name__", "__doc__", "__path__", "VERSION", "codes", "exceptions"})
"""What a module tells about itself."""
_WAYS_ROUND = names("getattr attrgetter methodcaller vars globals locals import_module __import__ reload eval exec")
_HANDED = frozenset({"getattr", "attrgetter", "methodcaller", "vars", "globals", "locals"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the reader of the code knows: `known` names by what they stand for, the text of an expression, if told."""

    known: Mapping[str, str]
    text: Callable[[ast.expr | None], str | None]
    function: Callable[[ast.expr], str]


def uses_network(nodes: Sequence[ast.AST], modules: Collection[str]) -> bool:
    """Whether anything of the `modules` is used: importing them, or asking for their version, connects to nothing."""
    parents = {child: node for node in nodes for child in ast.iter_child_nodes(node)}
    bound: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            bound.update(
                a.asname or a.name.partition(".")[0] for a in node.names if a.name.partition(".")[0] in modules
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in modules:
            bound.update(alias.asname or alias.name for alias in node.names if alias.name not in _ABOUT)
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in _WAYS_ROUND:
            return True
        if isinstance(node, ast.Attribute) and node.attr in {"modules", "import_module", "reload"}:
            return True
        if isinstance(node, ast.Name) and node.id in bound:
            parent = parents.get(node)
            if not (isinstance(parent, ast.Attribute) and parent.attr in _ABOUT):
                return True
    return False


def environment_uses(nodes: Sequence[ast.AST], known: Names) -> Iterator[str | None]:
    """The variables that are read, None: all of them. Passing them on to another program (`env=…`) is no reading."""
    parents = {child: node for node in nodes for child in ast.iter_child_nodes(node)}
    also: set[str] = set()
    for _ in range(3):
        told = [_use(node, parents, known, also) for node in nodes if _is_environment(node, known, also)]
    for use in told:
        yield from use


def _is_environment(node: ast.AST, known: Names, also: set[str]) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in _ENVIRONMENTS
    if isinstance(node, ast.Name):
        return isinstance(node.ctx, ast.Load) and (node.id in also or known.known.get(node.id) in _ENVIRONMENTS)
    if isinstance(node, ast.Subscript):
        return known.text(node.slice) in _ENVIRONMENTS
    return (
        isinstance(node, ast.Call)
        and known.function(node.func) == "getattr"
        and len(node.args) > 1
        and known.text(node.args[1]) in _ENVIRONMENTS
    )


def _use(node: ast.AST, parents: Mapping[ast.AST, ast.AST], known: Names, also: set[str]) -> tuple[str | None, ...]:
    parent = parents.get(node)
    if isinstance(parent, ast.Subscript) and parent.value is node:
        if isinstance(parent.ctx, ast.Load):
            return (known.text(parent.slice),)
        return ()
    if isinstance(parent, ast.Compare) and node in parent.comparators:
        return ()
    if isinstance(parent, ast.Attribute):
        call = parents.get(parent)
        if isinstance(call, ast.Call) and call.func is parent:
            if parent.attr in _QUIET:
                return ()
            if parent.attr in _ONE:
                return (known.text(call.args[0]) if call.args else None,)
            if parent.attr == "copy":
                return _copied(call, parents, known, also)
        return (None,)
    return _copied(node, parents, known, also)


def _copied(node: ast.AST, parents: Mapping[ast.AST, ast.AST], known: Names, also: set[str]) -> tuple[str | None, ...]:
    """Where the whole goes: to another program, into a variable (then its uses count), or out."""
    while (parent := parents.get(node)) is not None:
        if isinstance(parent, ast.keyword) and parent.arg == "env":
            call = parents.get(parent)
            if isinstance(call, ast.Call) and known.function(call.func) in _STARTS:
                return ()
        if isinstance(parent, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
            if all(isinstance(target, ast.Name) for target in targets):
                also.update(target.id for target in targets if isinstance(target, ast.Name))
                return ()
            return () if node in targets else (None,)
        copies = isinstance(parent, ast.Call) and node is not parent.func and known.function(parent.func) in _COPIES
        if not (copies or isinstance(parent, ast.Dict | ast.BinOp | ast.Starred | ast.keyword)):
            return (None,)
        if isinstance(parent, ast.BinOp) and not isinstance(parent.op, ast.BitOr):
            return (None,)
        node = parent
    return (None,)


@dataclass(slots=True)
class Connections:
    """Where the calls of a text connect to: `hosts`, UNKNOWN among them for what cannot be told."""

    names: Names
    hosts: list[str] = field(default_factory=list)
    told: bool = False
    indirect: bool = False
    assigned: dict[str, ast.expr] = field(default_factory=dict)

    def look(self, nodes: Sequence[ast.AST], plain: set[ast.expr]) -> None:
        """Go through the text; `plain` are the expressions that are only called, assigned, or asked for a part."""
        for node in nodes:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self.assigned[node.targets[0].id] = node.value
        for node in nodes:
            if isinstance(node, ast.Call):
                self._called(node)
            elif isinstance(node, ast.Attribute) and node.attr in _CONNECTS and node not in plain:
                self.indirect = True

    def _called(self, node: ast.Call) -> None:
        name = self.names.function(node.func)
        if name in _CONNECTS:
            self._connects(node, name)
        elif name in _LISTENS:
            self.told = True
        elif name in _OPENS or (name in _VERBS and self._is_client(node.func)):
            self._opens(node, 1 if name in {"request", "stream"} else 0)
        elif name in _HANDED:
            self.indirect = True

    def _is_client(self, func: ast.expr) -> bool:
        owner = func.value if isinstance(func, ast.Attribute) else None
        return isinstance(owner, ast.Name) and self.names.known.get(owner.id, owner.id) in _CLIENTS

    def _connects(self, node: ast.Call, name: str) -> None:
        given = [word.value for word in node.keywords if word.arg in {"host", "address", "remote_addr"}]
        to = next(iter([*(node.args[-1:] if name == "sendto" else node.args), *given]), None)
        self.told = True
        if isinstance(to, ast.Name) and to.id in self.assigned:
            to = self.assigned[to.id]
        if isinstance(to, ast.Tuple) and to.elts:
            to = to.elts[0]
        elif name in {"connect", "connect_ex"} and self.names.text(to) is not None:
            return  # the path of a Unix socket, or of a database
        host = self.names.text(to)
        self.hosts.append(host or UNKNOWN)

    def _opens(self, node: ast.Call, at: int) -> None:
        given = [word.value for word in node.keywords if word.arg == "url"]
        to = next(iter([*node.args[at : at + 1], *given]), None)
        if isinstance(to, ast.Name):
            if to.id not in self.assigned:
                return
            to = self.assigned[to.id]
        if isinstance(to, ast.Call) and self.names.function(to.func) == "Request" and to.args:
            to = to.args[0]
        text = self.names.text(to)
        if isinstance(to, ast.JoinedStr) and to.values and isinstance(to.values[0], ast.Constant):
            text = str(to.values[0].value)
            told = text.partition("://")[2]
            text = text if "/" in told or ":" in told else None
        self.hosts.append(host_of(text) if text else UNKNOWN)
