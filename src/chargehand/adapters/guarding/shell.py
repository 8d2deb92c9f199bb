"""Follows a shell text from its first command to its last, the way a shell would, without running anything.

Branches are all taken and joined; loops are walked twice; functions when they are called. Bounds on bytes, steps
and depth end what cannot be followed (`TooMuch`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache

from tree_sitter import Language, Node, Parser

from chargehand.adapters.guarding.builtins import BUILTINS, declare, refer
from chargehand.adapters.guarding.evaluated import arithmetic, look_at_name, look_at_prompt
from chargehand.adapters.guarding.look import Call, Look
from chargehand.adapters.guarding.options import names
from chargehand.adapters.guarding.place import UNKNOWN, is_secret_name
from chargehand.adapters.guarding.programs import follow_program
from chargehand.adapters.guarding.scope import NOTHING, SOMETHING, Out, Scope, some
from chargehand.adapters.guarding.variables import look_at_variable
from chargehand.adapters.guarding.words import Words, masked, text_of

__all__ = ["Shell"]

_STATEMENTS = names(
    "command redirected_statement pipeline list negated_command if_statement while_statement for_statement "
    "c_style_for_statement case_statement function_definition variable_assignment variable_assignments "
    "declaration_command unset_command test_command compound_statement subshell do_group"
)
_REDIRECTS = frozenset({"file_redirect", "herestring_redirect", "heredoc_redirect"})
_RESERVED = frozenset({"then", "do", "done", "else", "elif", "fi", "esac", "}", ")", "{"})
# `rm` written over two lines: the grammar takes it for two words, a shell for one
_CALLED_BY_THE_SHELL = names("command_not_found_handle command_not_found_handler precmd preexec chpwd")
_BROKEN_WORD = re.compile(r"""[^\s#;&|()<>]\\\n[^\s#;&|()<>]""")
_NAME = re.compile(r"[A-Za-z_]\w*")


@cache
def _parser() -> Parser:
    import tree_sitter_bash

    return Parser(Language(tree_sitter_bash.language()))


class Shell:
    """Walks the tree of a text; what it finds goes to `look`."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._words = Words(self._substituted, self._secret, self._process, self._strange, self._evaluate, self._assign)
        self._exact = ""
        self._tests = 0
        look.follow = self

    # -- entrances ------------------------------------------------------------------------------------

    def text(self, text: str, call: Call, positional: Sequence[str] | None) -> Out:
        """Follow a text in the shell of `call`; it changes the scope as the shell's own text would."""
        look = self._look
        look.read(text)
        tree = _parser().parse(masked(text))
        if tree.root_node.has_error:
            look.report("unparseable", _first_error(tree.root_node, text))
        elif _BROKEN_WORD.search(text):
            look.report("unparseable", call, why="A word goes on behind the end of its line.")
        scope = call.scope
        held, exact = scope.positional, self._exact
        if positional is not None:
            scope.positional = tuple(positional)
        out = self._deeper(tree.root_node, scope, call.feed)
        scope.positional, self._exact = held, exact
        return out

    def call(self, call: Call) -> Out:
        """Follow one command whose words are known."""
        look = self._look
        look.step()
        look.calls.append((call.argv, call.scope.cwds, call.exact))
        with look.deeper():
            return self._call(call)

    def _call(self, call: Call) -> Out:
        look, argv = self._look, call.argv
        name = argv[0]
        if UNKNOWN in name or (name not in {"[", "[["} and re.search(r"[*?\[]", name)):
            look.report("unknown_command", call)
            return SOMETHING
        if name in _RESERVED:
            look.report("unparseable", call)
        if name in call.scope.functions and "/" not in name:
            return self._function(call)
        builtin = BUILTINS.get(name)
        if builtin is not None:
            return builtin(call, look) or NOTHING
        if name in {"cd", "pushd", "popd"}:
            return self._cd(call)
        script = look.script(name, call) if "/" in name else None
        if script is not None:
            look.runs(script, call, lambda text: look.shell(text, call, call.args))
            return SOMETHING
        for link in [look.links.get(look.place.full(name, cwd)) for cwd in call.scope.cwds if "/" in name]:
            if link is not None and link != name:
                return self.call(call.of((link, *call.args)))
        return follow_program(call, look)

    # -- statements -----------------------------------------------------------------------------------

    def _deeper(self, node: Node, scope: Scope, feed: Out | None) -> Out:
        self._look.step()
        with self._look.deeper():
            return self._statement(node, scope, feed)

    def _statement(self, node: Node, scope: Scope, feed: Out | None) -> Out:
        kind = node.type
        if kind in {"command", "test_command"}:
            return self._command(node, scope, feed)
        if kind == "redirected_statement":
            return self._redirected(node, scope, feed)
        if kind == "pipeline":
            return self._pipeline(node, scope, feed)
        if kind == "list":
            return self._list(node, scope, feed)
        if kind == "subshell":
            return self._sequence(_statements(node), scope.copy(), feed)
        if kind == "if_statement":
            return self._branches(node, scope, feed)
        if kind == "case_statement":
            return self._case(node, scope, feed)
        if kind in {"for_statement", "while_statement", "c_style_for_statement"}:
            return self._loop(node, scope, feed)
        if kind == "function_definition":
            return self._define(node, scope)
        if kind in {"variable_assignment", "variable_assignments", "declaration_command"}:
            return self._assignments(node, scope)
        if kind == "unset_command":
            self._words.inside(node, scope)
            call = Call(argv=("unset",), exact=text_of(node), scope=scope)
            for word in (word for child in node.named_children for word in self._flat(child, scope)):
                look_at_name(word, call, self._look)
            for name in _NAME.findall(text_of(node))[1:]:
                scope.variables[name] = ("",)
            return NOTHING
        if not _statements(node):
            self._words.inside(node, scope)
            if text_of(node).startswith("(("):
                self._evaluate(text_of(node), scope, False)
                return self._not_arithmetic(node, scope, feed)
        return self._sequence(_statements(node), scope, feed)

    def _not_arithmetic(self, node: Node, scope: Scope, feed: Out | None) -> Out:
        """`((rm x) )` looks like arithmetic to the grammar, and is two subshells to a shell."""
        inner = text_of(node)[1:-1]
        self._look.read(inner)
        tree = _parser().parse(masked(inner))
        guess = scope.copy()
        guess.strangers = False
        return self._sequence(_statements(tree.root_node), guess, feed)

    def _sequence(self, nodes: Iterable[Node], scope: Scope, feed: Out | None) -> Out:
        out = NOTHING
        for node in nodes:
            out = out + self._deeper(node, scope, feed)
        return out

    def _list(self, node: Node, scope: Scope, feed: Out | None, redirects: Node | None = None) -> Out:
        """`a && b || c`: behind `&&` everything before has succeeded, behind `||` nothing is certain."""
        first, rest = _chain(node)
        out = self._deeper(first, scope, feed)
        maybe: Scope | None = None
        for operator, part in rest:
            before = scope.copy()
            if operator == "||" and maybe is not None:
                scope.join(maybe)
            last = redirects if part is rest[-1][1] else None
            out = out + self._last(part, scope, feed, last)
            if operator == "||":
                scope.join(before)
            elif maybe is None:
                maybe = before
            else:
                maybe.join(before)
        if maybe is not None:
            scope.join(maybe)
        return out

    def _pipeline(self, node: Node, scope: Scope, feed: Out | None, redirects: Node | None = None) -> Out:
        out = feed
        stages = _statements(node)
        for stage in stages:
            last = redirects if stage is stages[-1] else None
            out = self._last(stage, scope.copy() if len(stages) > 1 else scope, out, last)
        return NOTHING if out is None else out

    def _last(self, node: Node, scope: Scope, feed: Out | None, redirects: Node | None) -> Out:
        """One part of a list or a pipeline; the redirections of the whole are those of its last part."""
        if redirects is None:
            return self._deeper(node, scope, feed)
        return self._redirected_to(redirects, node, scope, feed)

    def _branches(self, node: Node, scope: Scope, feed: Out | None) -> Out:
        """Every part of an `if`: conditions change the shell itself, bodies perhaps."""
        ways: list[Scope] = []
        out = SOMETHING
        for child in node.children:
            if child.type in {"elif_clause", "else_clause"}:
                way = scope.copy()
                out = self._sequence(_statements(child), way, feed)
                ways.append(way)
            elif child in node.children_by_field_name("condition"):
                self._deeper(child, scope, feed) if child.type in _STATEMENTS else None
                body = scope.copy()
                ways.append(body)
            elif child.type in _STATEMENTS:
                self._deeper(child, ways[0] if ways else scope, feed)
        for way in ways:
            scope.join(way)
        return Out(remote=out.remote)

    def _case(self, node: Node, scope: Scope, feed: Out | None) -> Out:
        for item in node.named_children:
            if item.type != "case_item":
                self._words.fields(item, scope)
            else:
                way = scope.copy()
                self._sequence(_statements(item), way, feed)
                scope.join(way)
        return SOMETHING

    def _loop(self, node: Node, scope: Scope, feed: Out | None) -> Out:
        if node.type == "for_statement":
            name = node.child_by_field_name("variable")
            given = [field for value in node.children_by_field_name("value") for field in self._flat(value, scope)]
            if not node.children_by_field_name("value"):
                given = list(scope.positional or (UNKNOWN,))
            if name is not None:
                self._set(text_of(name), some(given), Call(argv=("for",), exact=text_of(node)[:200], scope=scope))
        elif node.type == "c_style_for_statement":
            head = "".join(text_of(child) + ";" for child in node.named_children if child.type != "do_group")
            self._evaluate(head, scope, False)
            for name in _NAME.findall(text_of(node).partition(";")[0])[1:]:
                scope.variables[name] = ("1",)
        out = SOMETHING
        for _ in range(2):
            way = scope.copy()
            out = self._sequence(_statements(node), way, feed)
            scope.join(way)
        return Out(remote=out.remote)

    def _define(self, node: Node, scope: Scope) -> Out:
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is not None and body is not None:
            scope.functions[text_of(name)] = body
            if text_of(name) in _CALLED_BY_THE_SHELL:
                self._function(Call(argv=(text_of(name), UNKNOWN), exact=text_of(node)[:200], scope=scope.copy()))
        return NOTHING

    def _function(self, call: Call) -> Out:
        scope, exact = call.scope, self._exact
        held, scope.positional = scope.positional, call.args
        out = self._deeper(scope.functions[call.argv[0]], scope, call.feed)
        scope.positional, self._exact = held, exact
        return out

    def _assignments(self, node: Node, scope: Scope) -> Out:
        declared = node.type == "declaration_command"
        refers = declared and any(re.fullmatch(r"-\w*n\w*", text_of(child)) for child in node.named_children)
        call = Call(argv=("declare",), exact=text_of(node), scope=scope)
        for child in [node] if node.type == "variable_assignment" else node.named_children:
            if child.type == "variable_assignment":
                name, values = self._assignment(child, scope)
                refer(name, values, call, self._look) if refers else scope.assign(name, values)
            elif child.type != "variable_name":
                declare(self._flat(child, scope), call, self._look, refers=refers)
        if declared and re.match(r"\w+\s+-\w*p", text_of(node)):
            for name in _NAME.findall(text_of(node))[1:]:
                self._secret(name)
        if node.type == "declaration_command" and len(node.children) == 1:
            exact = text_of(node)
            if exact in {"export", "declare", "typeset"}:
                self._look.report("environment", exact, inside=True)
        elif re.fullmatch(r"(?:export|declare|typeset) -[px]+", text_of(node).strip()):
            self._look.report("environment", text_of(node), inside=True)
        return NOTHING

    def _assignment(self, node: Node, scope: Scope) -> tuple[str, tuple[str, ...]]:
        target, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        name = text_of(target) if target is not None else ""
        call = Call(argv=(name,), exact=text_of(node), scope=scope)
        index = ""
        if target is not None and target.type == "subscript":
            self._words.inside(target, scope)
            self._evaluate(text_of(target), scope, False)
            name, _, index = name.partition("[")
            scope.arrays[name] = (UNKNOWN,)
        if value is None:
            return name, ("",)
        if value.type == "array":
            held = scope.arrays.get(name, ()) if "+=" in text_of(node)[: len(name) + 2] else ()
            given = (field for child in value.named_children for field in self._flat(child, scope))
            scope.arrays[name] = (*held, *given)
            for text in scope.arrays[name][:20]:
                look_at_variable(name, text, call, self._look)
            return name, some(list(scope.arrays[name])[:1])
        values = self._words.values(value, scope)
        if text_of(node)[len(name) :].startswith("+="):
            values = some([one + other for one in scope.variables.get(name, (UNKNOWN,)) for other in values])
        for text in values:
            look_at_variable(name, text, replace(call, scope=scope.copy()), self._look)
            if name in {"BASH_ALIASES", "BASH_CMDS", "aliases", "commands"} and index:
                scope.aliases[index.rstrip("]").strip("\"'")] = text
        return name, values

    def _set(self, name: str, values: tuple[str, ...], call: Call) -> None:
        call.scope.assign(name, values)
        for text in values:
            look_at_variable(name, text, call, self._look)

    def _assign(self, name: str, values: tuple[str, ...], scope: Scope) -> None:
        self._set(name, values, Call(argv=(name,), exact=self._exact or name, scope=scope))

    def _evaluate(self, text: str, scope: Scope, prompt: bool) -> None:
        call = Call(argv=("((",), exact=self._exact or text, scope=scope)
        (look_at_prompt if prompt else arithmetic)(text, call, self._look)

    # -- commands -------------------------------------------------------------------------------------

    def _command(self, node: Node, scope: Scope, feed: Out | None) -> Out:
        if node.type == "test_command":
            self._tests += 1
            self._words.inside(node, scope)
            self._tested(node, scope)
            self._tests -= 1
            return NOTHING
        exact = text_of(node)
        prefix = [child for child in node.named_children if child.type == "variable_assignment"]
        shell = scope.copy() if prefix else scope
        for child in prefix:
            name, values = self._assignment(child, scope)
            shell.variables[name] = values
        if prefix and any(child.start_byte == prefix[-1].end_byte for child in node.named_children):
            self._look.report("unparseable", exact, why="The grammar sees two words where a shell sees one.")
        held = Call(argv=("",), exact=exact, scope=scope, feed=feed)
        words: list[Node] = []
        target = ""
        out_of = []
        for child in node.named_children:
            if child.type == "variable_assignment":
                continue
            if child.type in _REDIRECTS:
                out_of.append(child)
            elif child.type != "ERROR":
                words.append(child)
        for child in out_of:
            feed, target = self._redirect(child, held, feed, target)
        self._tests += text_of(words[0]) in {"[", "test", ":"} if words else 0
        lists = self._words.command(words, scope)
        self._tests -= text_of(words[0]) in {"[", "test", ":"} if words else 0
        out: Out | None = None
        for argv in lists:
            held_exact, self._exact = self._exact, exact
            if argv:
                told = self._argv(Call(argv=tuple(argv), exact=exact, scope=shell, feed=feed))
                out = told if out is None or out == told else Out(remote=out.remote or told.remote)
            self._exact = held_exact
        if shell is not scope:
            scope.cwds = some([*scope.cwds, *shell.cwds])
        return self._printed(out or NOTHING, target, scope)

    def _tested(self, node: Node, scope: Scope) -> None:
        """`[[ x -eq 1 ]]`, `[[ -v x ]]`: words that are evaluated."""
        call = Call(argv=("[[",), exact=text_of(node), scope=scope)
        waiting = list(node.named_children)
        while waiting:
            child = waiting.pop()
            if child.type in {"concatenation", "string", "simple_expansion", "expansion", "word", "raw_string"}:
                for text in self._words.values(child, scope):
                    look_at_name(text, call, self._look)
            else:
                waiting += child.named_children

    def _argv(self, call: Call) -> Out:
        alias = call.scope.aliases.get(call.argv[0])
        if alias is None:
            return self.call(call)
        rest = " ".join("'" + word.replace("'", "'\\''") + "'" for word in call.args)
        scope = call.scope.copy()
        del scope.aliases[call.argv[0]]
        return self.text(f"{alias} {rest}", Call(argv=call.argv, exact=call.exact, scope=scope, feed=call.feed), None)

    def _cd(self, call: Call) -> Out:
        targets = [word for word in call.args if not word.startswith("-") or word == "-"]
        target = targets[0] if targets else "~"
        place, scope = self._look.place, call.scope
        if (
            call.argv[0] == "popd"
            or (call.argv[0] == "pushd" and not targets)
            or target == "-"
            or target.startswith("+")
            or UNKNOWN in target
            or (not target.startswith(("/", "~")) and any(UNKNOWN in cwd for cwd in scope.cwds))
        ):
            scope.cwds = (UNKNOWN,)
        else:
            found = [folder for value in scope.variables.get("CDPATH", ()) for folder in value.split(":")]
            if target.startswith(("/", "~", ".")):
                found = []
            tried = [
                place.full(folder, cwd) if UNKNOWN not in folder else UNKNOWN for folder in found for cwd in scope.cwds
            ]
            scope.cwds = some([place.full(target, cwd) for cwd in (*scope.cwds, *tried)])
        return NOTHING

    # -- redirections ---------------------------------------------------------------------------------

    def _redirected(self, node: Node, scope: Scope, feed: Out | None) -> Out:
        body = node.child_by_field_name("body")
        if body is not None and body.type == "list":
            return self._list(body, scope, feed, node)
        if body is not None and body.type == "pipeline":
            return self._pipeline(body, scope, feed, node)
        return self._redirected_to(node, body, scope, feed)

    def _redirected_to(self, node: Node, body: Node | None, scope: Scope, feed: Out | None) -> Out:
        call = Call(argv=("",), exact=text_of(node), scope=scope, feed=feed)
        target = ""
        documents = []
        for child in node.named_children:
            if child.type not in _REDIRECTS:
                continue
            if child.type == "heredoc_redirect":
                documents.append(child)
            feed, target = self._redirect(child, call, feed, target)
        out = self._deeper(body, scope, feed) if body is not None else (feed or NOTHING)
        for document in documents:
            out = self._behind_document(document, scope, out)
        return self._printed(out, target, scope)

    def _behind_document(self, node: Node, scope: Scope, out: Out) -> Out:
        """What stands behind `<<EOF` on its line belongs to the document in the tree: `| sh`, `&& rm x`."""
        for child in node.named_children:
            if child.type == "pipeline":
                for stage in _statements(child):
                    if stage.type == "list":
                        first, rest = _chain(stage)
                        out = self._deeper(first, scope.copy(), out)
                        for _, part in rest:
                            self._deeper(part, scope, None)
                    else:
                        out = self._deeper(stage, scope.copy(), out)
            elif child.type in _STATEMENTS:
                out = out + self._deeper(child, scope, None)
        return out

    def _redirect(self, node: Node, call: Call, feed: Out | None, target: str) -> tuple[Out | None, str]:
        if node.type == "herestring_redirect":
            values = self._words.values(node.named_children[-1], call.scope)
            self._remember(node, Out(text=values[0] + "\n") if len(values) == 1 else SOMETHING, call)
            return Out(text=values[0] + "\n") if len(values) == 1 else SOMETHING, target
        if node.type == "heredoc_redirect":
            start = next((c for c in node.named_children if c.type == "heredoc_start"), None)
            body = next((c for c in node.named_children if c.type == "heredoc_body"), None)
            for child in node.children_by_field_name("redirect"):
                feed, target = self._redirect(child, call, feed, target)
            literal = start is not None and any(mark in text_of(start) for mark in "'\"\\")
            text = self._words.body(body, call.scope, literal=literal) if body is not None else ""
            self._remember(node, Out(text=text), call)
            return Out(text=text), target
        operator = next((c.type for c in node.children if not c.is_named), ">")
        for destination in node.children_by_field_name("destination"):
            for path in self._words.values(destination, call.scope):
                feed, target = self._redirect_to(operator, path, call, feed, target)
                if operator == "<" and feed is not None:
                    self._remember(node, feed, call)
        return feed, target

    def _remember(self, node: Node, out: Out, call: Call) -> None:
        """What a descriptor of another number than 0 is opened for: `exec 3<<< text; sh <&3`."""
        number = next((text_of(child) for child in node.children if child.type == "file_descriptor"), "")
        if number.isdigit() and number != "0":
            call.scope.wrote(f"/dev/fd/{number}", out)

    def _redirect_to(
        self, operator: str, path: str, call: Call, feed: Out | None, target: str
    ) -> tuple[Out | None, str]:
        look = self._look
        network = re.match(r"/dev/(?:tcp|udp)/([^/]*)", path)
        if network is not None:
            look.host(network[1], call)
            return (Out(remote=True) if "<" in operator else feed), target
        if operator.startswith("<") and operator != "<>":
            if operator == "<&":
                return (feed if path == "0" else call.scope.files.get(f"/dev/fd/{path}", SOMETHING)), target
            look.reads(path, call)
            if path in look.feeds:
                return look.feeds[path], target
            return look.script(path, call) or Out(files=UNKNOWN not in path), target
        if operator == ">&" and (path.isdigit() or path in {"-", UNKNOWN}):
            return feed, target
        look.writes(path, call, append=operator in {">>", "&>>", "<>"})
        return feed, path

    def _printed(self, out: Out, target: str, scope: Scope) -> Out:
        if not target:
            return out
        for cwd in scope.cwds:
            scope.wrote(self._look.place.full(target, cwd), out)
        return NOTHING

    # -- what words need ------------------------------------------------------------------------------

    def _flat(self, node: Node, scope: Scope) -> list[str]:
        return [field for way in self._words.fields(node, scope) for field in way]

    def _substituted(self, node: Node, scope: Scope) -> Out:
        """What is substituted in a test is a command of its own."""
        held, self._tests = self._tests, 0
        out = self._substituted_text(node, scope)
        self._tests = held
        return out

    def _substituted_text(self, node: Node, scope: Scope) -> Out:
        nodes = _statements(node)
        if not nodes and (redirect := next((c for c in node.named_children if c.type == "file_redirect"), None)):
            call = Call(argv=("",), exact=text_of(node), scope=scope)
            self._redirect(redirect, call, None, "")
            return SOMETHING
        return self._sequence(nodes, scope.copy(), None)

    def _process(self, node: Node, scope: Scope) -> str:
        path = f"/dev/fd/{63 + len(self._look.feeds)}"
        if text_of(node).startswith(">("):
            self._sequence(_statements(node), scope.copy(), SOMETHING)
            self._look.feeds[path] = NOTHING
        else:
            self._look.feeds[path] = self._sequence(_statements(node), scope.copy(), None)
        return path

    def _strange(self, text: str) -> None:
        self._look.report("unparseable", text, why="The grammar does not see a command in it, and a shell does.")

    def _secret(self, name: str) -> None:
        if is_secret_name(name) and not self._tests:
            self._look.report("secret_variable", "$" + name, inside=True)


def _statements(node: Node) -> list[Node]:
    return [child for child in node.named_children if child.type in _STATEMENTS]


def _chain(node: Node) -> tuple[Node, list[tuple[str, Node]]]:
    """The parts of a list, which the tree nests to the left, in their order."""
    rest: list[tuple[str, Node]] = []
    while node.type == "list":
        parts = [child for child in node.children if child.is_named]
        operator = next((child.type for child in node.children if child.type in {"&&", "||"}), "&&")
        rest += [(operator, part) for part in reversed(parts[1:]) if part.type in _STATEMENTS]
        if not parts:
            break
        node = parts[0]
    return node, rest[::-1]


def _first_error(root: Node, text: str) -> str:
    node = root
    while node.type != "ERROR" and not node.is_missing:
        inner = next((child for child in node.children if child.has_error or child.is_missing), None)
        if inner is None:
            break
        node = inner
    return (text_of(node) or text).strip()[:200]
