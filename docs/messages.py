"""Every message by which the package refuses something, read from the source: what is raised, and with which words."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "submillion"
KINDS = ("ConfigError", "EncoderNotFound", "DataError", "BudgetError", "RunError", "Diverged", "UsageError")
PARTS = ("BrokenTable", "PickleRefused")
"""Reasons that another message quotes."""

LISTS = ("problems", "wrong", "reasons")
"""Lists of problems, which one message holds together."""

VALIDATORS = ("recipe/sections", "study/recipe", "shapes")
"""Modules in which a ValueError is the reason that pydantic hands on."""


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        kind: The error, or "part" of a message that another line begins.
        text: Its words; what is filled in stands in angle brackets, choices in square ones.
        module: Where it is raised, from the package down.
    """

    kind: str
    text: str
    module: str


def messages() -> list[Message]:
    """Return all messages, by module and in the order of the source, each once."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))}
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    explainers, constants = _explainers(nodes), _constants(nodes)
    found: dict[Message, None] = {}
    for path, tree in trees.items():
        words = _Words(tree, explainers, constants)
        module = path.relative_to(SOURCE).with_suffix("").as_posix().removesuffix("/__init__")
        for kind, argument in _raised(tree, module):
            for text in words.of(argument):
                found[Message(kind, " ".join(text.split()), module)] = None
    return list(found)


def _raised(tree: ast.Module, module: str) -> Iterator[tuple[str, ast.expr]]:
    """Yield the kind and the argument of each call that makes a message."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]
    for node in sorted(calls, key=lambda call: call.lineno):
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        of = getattr(getattr(node.func, "value", None), "id", "")
        if name in KINDS:
            yield name, node.args[0]
        elif (
            name in PARTS
            or (name == "ValueError" and module in VALIDATORS)
            or (name == "append" and of in LISTS)
        ):
            yield "part", node.args[0]


class _Words:
    """A module's expressions turned into words, with the constants that it has or imports and with the answers of functions that explain."""

    def __init__(
        self, own: ast.Module, explainers: dict[str, list[ast.expr]], constants: dict[str, ast.expr]
    ):
        imported = {node.name for node in ast.walk(own) if isinstance(node, ast.alias)}
        of_others = {name: words for name, words in constants.items() if name in imported}
        self._explainers = explainers
        self._constants = of_others | _constants(ast.walk(own))

    def of(self, argument: ast.expr) -> list[str]:
        """Return what a message may say: of a function that explains, each of its answers."""
        if isinstance(argument, ast.Call):
            answers = self._explainers.get(getattr(argument.func, "id", ""), [])
            return [text for answer in answers for text in self.of(answer)]
        text = self._text(argument)
        return [text] if " " in text.strip("<>…. ") else []

    def _text(self, node: ast.expr) -> str:
        """Return an expression as a template."""
        if isinstance(node, ast.Constant):
            return str(node.value)
        if isinstance(node, ast.JoinedStr):
            return "".join(map(self._text, node.values))
        if isinstance(node, ast.FormattedValue):
            return f"<{_name(node.value)}>" if isinstance(node.value, ast.BinOp) else self._text(node.value)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return self._text(node.left) + self._text(node.right)
        if isinstance(node, ast.IfExp):
            return f"[{self._text(node.body)} | {self._text(node.orelse)}]"
        named = getattr(node, "id", getattr(node, "attr", ""))
        if named in self._constants:
            return self._text(self._constants[named])
        if isinstance(node, ast.Call) and (
            answers := [text for text in self.of(node) if "<" not in text[:1]]
        ):
            return answers[0] if len(answers) == 1 else f"[{' | '.join(answers)}]"
        return f"<{_name(node)}>"


def _explainers(nodes: Iterable[ast.AST]) -> dict[str, list[ast.expr]]:
    """Return what each function that answers with words may return."""
    return {
        node.name: [part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value]
        for node in nodes
        if isinstance(node, ast.FunctionDef)
        and isinstance(node.returns, ast.Name)
        and node.returns.id == "str"
    }


def _constants(nodes: Iterable[ast.AST]) -> dict[str, ast.expr]:
    """Return the constants in capitals that hold words."""
    return {
        target.id: node.value
        for node in nodes
        if isinstance(node, ast.Assign | ast.AnnAssign) and _is_words(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id.isupper()
    }


def _is_words(node: ast.expr | None) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _name(node: ast.expr) -> str:
    """Return what a reader may call a value: the last name in its expression."""
    if isinstance(node, ast.Name | ast.Attribute):
        return getattr(node, "id", getattr(node, "attr", "")).strip("_").replace("_", " ")
    if isinstance(node, ast.Call):
        inner = [*node.args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])]
        return next((name for part in inner if (name := _name(part)) != "…"), "…")
    if isinstance(node, ast.Subscript):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        return key.replace("_", " ") if isinstance(key, str) else _name(node.value)
    if isinstance(node, ast.BinOp):
        return _name(node.left)
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _name(node.generators[0].iter)
    return "…"
