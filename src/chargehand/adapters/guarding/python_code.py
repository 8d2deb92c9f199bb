"""Python given on a command line or by a pipe, parsed with `ast`: nothing of it is executed."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace

from chargehand.adapters.guarding.look import Call, Look
from chargehand.adapters.guarding.network import host_of
from chargehand.adapters.guarding.options import names
from chargehand.adapters.guarding.place import UNKNOWN, Spot, is_secret_name
from chargehand.adapters.guarding.python_reach import Connections, Names, environment_uses, uses_network
from chargehand.adapters.guarding.scope import some

__all__ = ["look_into_python"]

_TREES = frozenset({"rmtree", "removedirs", "remove_tree", "rmdir"})
_FILES = frozenset({"remove", "unlink", "truncate"})
_SHELLS = frozenset({"system", "popen", "getoutput", "getstatusoutput", "create_subprocess_shell"})
_ARGVS = frozenset({"run", "call", "check_call", "check_output", "Popen", "create_subprocess_exec"})
_STARTS = re.compile(r"^(?:exec[lv]p?e?|spawn[lv]p?e?|posix_spawnp?|startfile)$")
_HIDDEN = frozenset({"eval", "exec", "__import__", "import_module", "CDLL", "run_path", "run_module", "loads_code"})
_HIDING_MODULES = frozenset({"ctypes", "marshal", "pickle", "pty", "codeop", "code"})
_NETWORK = names(
    "socket urllib requests httpx aiohttp http ftplib smtplib telnetlib paramiko websocket websockets urllib3 "
    "boto3 xmlrpc"
)
_NAMES_OF_DANGER = _TREES | _SHELLS | {"unlink"}


def look_into_python(text: str, call: Call, look: Look) -> None:
    """Report what the code would remove, run, fetch, hide or write outside; what does not parse is said so."""
    if UNKNOWN in text:
        look.report("hidden_code", call)
    look.read(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip("\n") if text[:1] in " \t" else text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        look.report("unparseable", call, why="Its Python could not be read.")
        return
    _Reader(call, look).read(tree)


class _Reader:
    def __init__(self, call: Call, look: Look) -> None:
        self._call = call
        self._look = look
        self._constants: dict[str, str | None] = {}
        self._names: dict[str, str] = {}
        self._hosts: list[str] = []
        self._plain: set[ast.expr] = set()
        self._network = False
        self._installs = False
        self._pushes = False
        self._writes = False

    def read(self, tree: ast.AST) -> None:
        nodes = list(ast.walk(tree))
        self._moved(nodes)
        self._plain = {node.func for node in nodes if isinstance(node, ast.Call)}
        self._plain |= {node.value for node in nodes if isinstance(node, ast.Assign | ast.Attribute)}
        for node in nodes:
            self._learn(node)
        for node in nodes:
            self._one(node)
        self._conclude(nodes)

    def _moved(self, nodes: list[ast.AST]) -> None:
        """`os.chdir`: what follows may be in that folder, or still where the command stands."""
        for node in nodes:
            if not (isinstance(node, ast.Call) and self._function(node.func) in {"chdir", "fchdir"}):
                continue
            target = self._text(node.args[0]) if node.args else None
            scope = self._call.scope.copy()
            full = [UNKNOWN if target is None else self._look.place.full(target, cwd) for cwd in scope.cwds]
            scope.cwds = some([*scope.cwds, *full])
            self._call = replace(self._call, scope=scope)

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            value = self._text(node.value)
            self._constants[name] = value if self._constants.get(name, value) == value else None
            if isinstance(node.value, ast.Attribute):
                self._names[name] = node.value.attr
            elif isinstance(node.value, ast.Name):
                self._names[name] = self._names.get(node.value.id, node.value.id)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                self._names[alias.asname or alias.name] = alias.name
                self._module(node.module or "", alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                self._names[alias.asname or alias.name] = alias.name
                self._module(alias.name, "")

    def _module(self, module: str, name: str) -> None:
        top = module.partition(".")[0]
        if top in _NETWORK and module not in {"http.server", "urllib.parse", "http"}:
            self._network = self._network or name not in {
                "parse",
                "urlparse",
                "quote",
                "unquote",
                "urlencode",
                "urljoin",
            }
        self._installs = self._installs or top in {"pip", "easy_install", "ensurepip"}
        self._pushes = self._pushes or top in {"git", "pygit2", "dulwich"}
        if top in _HIDING_MODULES or name == "*":
            self._report("hidden_code")

    def _one(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            self._called(node)
        elif isinstance(node, ast.Attribute) and node.attr == "environ":
            return
        elif isinstance(node, ast.Attribute) and node not in self._plain and self._is_dangerous(node):
            self._report("hidden_code", "Its Python hands a function that removes or runs things to another.")
        elif (
            isinstance(node, ast.Attribute)
            and node.attr
            in {
                "__globals__",
                "__builtins__",
                "__subclasses__",
                "__dict__",
            }
        ) or (isinstance(node, ast.Name) and self._names.get(node.id, node.id) in {"__builtins__", "__import__"}):
            self._report("hidden_code")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._string(node.value)

    def _string(self, text: str) -> None:
        if re.match(r"(?:https?|ftp|wss?)://", text):
            self._hosts.append(text)
        elif len(text) < 300 and not re.search(r"[\s<>]", text):
            self._look.reads(text, self._call)

    def _called(self, node: ast.Call) -> None:
        name = self._function(node.func)
        if name in _HIDDEN:
            self._report("hidden_code")
        elif name in {"getattr", "attrgetter", "methodcaller"}:
            wanted = (
                self._text(node.args[-1 if name != "getattr" else 1]) if len(node.args) > (name == "getattr") else None
            )
            if wanted is None or wanted in _NAMES_OF_DANGER or wanted.startswith("__"):
                self._report("hidden_code")
        elif name in _TREES:
            self._removes(node, whole=name != "rmdir")
        elif name in _FILES and not self._is_list_remove(node, name):
            self._removes(node, whole=False)
        elif name in _SHELLS:
            self._shell(node)
        elif name in _ARGVS and not self._is_method(node, {"run"}, base={"asyncio", "app", "loop"}):
            self._argv(node)
        elif name in {"kill", "killpg"} and isinstance(node.func, ast.Attribute) and self._owner(node.func) == "os":
            self._look.report("kill", self._call, inside=self._look.place.sandboxed)
        elif self._installs and name in {"main", "_main", "bootstrap"}:
            self._pip(node)
        elif name in {"extractall", "extract", "unpack_archive"}:
            self._extracts(node, name)
        elif name == "push" and self._pushes:
            self._report("git_push")
        elif name == "getenv" and node.args:
            self._variable(node.args[0])
        elif _STARTS.match(name):
            self._report("hidden_code", "Its Python starts another program.")
        elif name in {
            "write_text",
            "write_bytes",
            "copy",
            "copyfile",
            "copytree",
            "move",
            "replace",
            "rename",
            "symlink",
        } or (name == "open" and self._opens_to_write(node)):
            self._writes = True
        elif name in {"create_connection", "open_connection", "urlopen", "urlretrieve"}:
            self._network = True

    def _pip(self, node: ast.Call) -> None:
        """`pip.main(["install", …])` is the command of that name."""
        listed = node.args[0] if node.args else None
        if isinstance(listed, ast.List | ast.Tuple):
            words = [UNKNOWN if (text := self._text(part)) is None else text for part in listed.elts]
            self._look.again(("pip", *words), self._call)
        else:
            self._report("install_untrusted", "Its Python installs what cannot be told.")

    def _extracts(self, node: ast.Call, name: str) -> None:
        at = 0 if name == "extractall" else 1
        named = [word.value for word in node.keywords if word.arg in {"path", "extract_dir"}]
        for target in [*node.args[at : at + 1], *named]:
            text = self._text(target)
            self._look.writes(UNKNOWN if text is None else text, self._call, append=True)

    def _variable(self, node: ast.expr) -> None:
        name = self._text(node)
        if name is not None and is_secret_name(name):
            self._look.report("secret_variable", self._call, inside=True)

    def _owner(self, node: ast.Attribute) -> str:
        return self._names.get(node.value.id, node.value.id) if isinstance(node.value, ast.Name) else ""

    def _is_dangerous(self, node: ast.Attribute) -> bool:
        """Whether it is a function of the standard library that removes or starts something."""
        known = node.attr in _TREES | _FILES | _SHELLS | _ARGVS or bool(_STARTS.match(node.attr))
        return known and self._owner(node) in {"os", "posix", "shutil", "subprocess"}

    def _function(self, node: ast.expr) -> str:
        if isinstance(node, ast.Attribute):
            return node.attr
        if isinstance(node, ast.Name):
            return self._names.get(node.id, node.id)
        if isinstance(node, ast.Subscript | ast.Call | ast.Lambda):
            if isinstance(node, ast.Subscript):
                self._report("hidden_code")
            return ""
        return ""

    def _is_method(self, node: ast.Call, names: set[str], base: set[str] | None = None) -> bool:
        """`re.compile` is not `compile`; `asyncio.run` starts no program."""
        func = node.func
        if not isinstance(func, ast.Attribute) or func.attr not in names:
            return False
        owner = func.value.id if isinstance(func.value, ast.Name) else ""
        return owner in base if base is not None else owner not in {"builtins", "__builtins__"}

    def _is_list_remove(self, node: ast.Call, name: str) -> bool:
        func = node.func
        if name != "remove" or not isinstance(func, ast.Attribute):
            return False
        owner = func.value
        return not (
            isinstance(owner, ast.Name) and self._names.get(owner.id, owner.id) in {"os", "posix", "shutil", "pathlib"}
        )

    def _opens_to_write(self, node: ast.Call) -> bool:
        modes = [self._text(arg) or "" for arg in node.args[1:2]]
        modes += [self._text(word.value) or "" for word in node.keywords if word.arg == "mode"]
        path_modes = [self._text(arg) or "" for arg in node.args[:1]] if isinstance(node.func, ast.Attribute) else []
        return any(set(mode) & set("wax+") for mode in (*modes, *(m for m in path_modes if len(m) < 4)))

    def _removes(self, node: ast.Call, *, whole: bool) -> None:
        target: ast.expr | None = node.args[0] if node.args else None
        if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):
            inner = node.func.value  # Path("x").unlink()
            target = inner.args[0] if inner.args else None
        path = self._text(target) if target is not None else None
        self._look.deletes([UNKNOWN if path is None else path], self._call, whole=whole)

    def _shell(self, node: ast.Call) -> None:
        text = self._text(node.args[0]) if node.args else None
        if text is None:
            self._report("hidden_code", "Its Python runs a command that cannot be told.")
        else:
            self._look.shell(text, self._call)

    def _argv(self, node: ast.Call) -> None:
        shell = any(word.arg == "shell" and self._truth(word.value) for word in node.keywords)
        first = node.args[0] if node.args else next((w.value for w in node.keywords if w.arg == "args"), None)
        if shell or isinstance(first, ast.Constant | ast.JoinedStr):
            text = self._text(first) if first is not None else None
            words = [text] if text is not None and not shell and len(node.args) == 1 else None
            if text is None:
                self._report("hidden_code", "Its Python runs a command that cannot be told.")
            elif words is not None and " " not in text:
                self._look.again(words, self._call)
            else:
                self._look.shell(
                    " ".join(self._text(arg) or UNKNOWN for arg in node.args) if not shell else text, self._call
                )
            return
        if not isinstance(first, ast.List | ast.Tuple) or not first.elts:
            self._report("hidden_code", "Its Python runs a command that cannot be told.")
            return
        argv = [UNKNOWN if (text := self._text(part)) is None else text for part in first.elts]
        self._look.again(argv, self._call)

    def _truth(self, node: ast.expr) -> bool:
        return not (isinstance(node, ast.Constant) and not node.value)

    def _text(self, node: ast.expr | None) -> str | None:
        """The text an expression stands for; None when that cannot be told."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name):
            return self._constants.get(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Div):
            left, right = self._text(node.left), self._text(node.right)
            if left is None or right is None or len(left) + len(right) > 4096:
                return None
            return left + right if isinstance(node.op, ast.Add) else f"{left}/{right}"
        if isinstance(node, ast.Call) and self._function(node.func) in {
            "Path",
            "PurePath",
            "str",
            "abspath",
            "expanduser",
        }:
            return self._text(node.args[0]) if len(node.args) == 1 else None
        return None

    def _conclude(self, nodes: list[ast.AST]) -> None:
        known = Names(known=self._names, text=self._text, function=self._function)
        if self._network:
            calls = Connections(known)
            calls.look(nodes, self._plain)
            used = bool(self._hosts) or uses_network(nodes, _NETWORK)
            if not used and not (calls.told or calls.indirect):
                pass  # importing something connects to nothing
            elif calls.indirect or not (self._hosts or calls.told):
                self._report("network", "Its Python connects to a host that cannot be told.")
            for host in (*map(host_of, self._hosts), *calls.hosts):
                self._look.host(host, self._call)
        if self._writes:
            for text in self._strings(nodes):
                if re.match(r"/\w|~|\.\./", text) and self._look.spot(text, self._call) is Spot.OUTSIDE:
                    self._report("overwrite_outside")
        for name in environment_uses(nodes, known):
            if name is None:
                self._look.report("environment", self._call, inside=True)
            elif is_secret_name(name):
                self._look.report("secret_variable", self._call, inside=True)

    def _strings(self, nodes: list[ast.AST]) -> Iterator[str]:
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and not re.search(r"\s", node.value):
                yield node.value

    def _report(self, rule: str, why: str = "") -> None:
        self._look.report(rule, self._call, why=why)
