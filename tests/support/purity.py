"""Finds in a module's source what a pure library must not contain.

It reads the syntax tree, so it also sees imports inside functions, which the import
contract sees too, and calls and iterations, which that does not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

BANNED_MODULES = {
    "asyncio", "builtins", "concurrent", "ctypes", "fcntl", "glob", "http", "importlib", "io", "logging", "mmap", "multiprocessing",
    "os", "pathlib", "platform", "queue", "random", "sched", "secrets", "select", "selectors", "shutil", "signal", "socket", "ssl",
    "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip
BANNED_CALLS = {"__import__", "breakpoint", "eval", "exec", "hash", "id", "input", "open", "print", "vars"}
CLOCKS = frozenset({"now", "today", "utcnow"})
ORDERING = frozenset({"sorted", "min", "max", "sum", "len", "any", "all", "set", "frozenset", "bool", "isinstance"})
"""Calls whose result does not depend on the order of what they are given."""

ALLOWED = {
    # The one place that compiles generated functions.
    ("codegen.py", "exec"),
    # Looks at what a class wrote itself, not at a state.
    ("record.py", "vars"),
    # Gives the constants of a generated function their names, in the order of their use.
    ("wire/source.py", "id"),
    # Load types of this package, whose homes are written beside the call, when first used.
    ("__init__.py", "import_module"),
    ("mina/catalog.py", "import_module"),
    ("wire/raw.py", "import_module"),
}


def violations(source: str, path: str) -> list[str]:
    """What ``source`` must not contain, each as ``line: what``.

    :param path: of the module below the package, for the few exceptions.
    """
    tree = ast.parse(source)
    return [f"{line}: {what}" for line, what in sorted({*_imports(tree), *_calls(tree, path), *_unordered(tree)})]


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
            if node.module == "importlib" and [alias.name for alias in node.names] == ["import_module"]:
                continue  # _calls looks at what it is called with
        for name in names:
            if name.partition(".")[0] in BANNED_MODULES:
                yield node.lineno, f"imports {name}"


def _calls(tree: ast.AST, path: str) -> Iterator[tuple[int, str]]:
    hashing = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "__hash__"
        for inner in ast.walk(node)
    }  # fmt: skip
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(id="import_module"):
                match node.args:
                    case [ast.Constant(value=str(name))]:
                        if name.partition(".")[0] in BANNED_MODULES:
                            yield node.lineno, f"imports {name}"
                    case [ast.JoinedStr(values=[ast.Constant(value=str(start)), *_])] if start.startswith("mina_p2p."):
                        pass
                    case _:
                        if (path, "import_module") not in ALLOWED:
                            yield node.lineno, "imports what it computes"
            case ast.Name(id=name) if name in BANNED_CALLS and (path, name) not in ALLOWED:
                # An object may say what its hash is; no rule may follow from what it is.
                if not (name == "hash" and node in hashing):
                    yield node.lineno, f"calls {name}()"
            case ast.Attribute(attr=name, value=ast.Name(id=owner)) if name in CLOCKS and owner in {"datetime", "date"}:
                yield node.lineno, f"reads the clock by {owner}.{name}()"
            case ast.Attribute(attr=name, value=ast.Attribute(attr=owner)) if name in CLOCKS and owner in {"datetime", "date"}:
                yield node.lineno, f"reads the clock by {owner}.{name}()"
            case _:
                pass


def _unordered(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Iterations over sets, whose order depends on the hash seed or on addresses."""
    for scope in ast.walk(tree):
        if isinstance(scope, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _unordered_in(scope)


def _unordered_in(scope: ast.AST) -> Iterator[tuple[int, str]]:
    sets = {name for node in _own(scope) for name in _names_of_sets(node)}
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = (*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs)
        sets |= {a.arg for a in arguments if a.annotation is not None and _is_set_type(a.annotation)}

    def is_set(node: ast.AST) -> bool:
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id="set" | "frozenset")):
                return True
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor(), right=right):
                return is_set(left) or is_set(right)
            case ast.Name(id=name):
                return name in sets
            case _:
                return False

    harmless = {
        inner
        for node in _own(scope)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ORDERING
        for inner in node.args
    }
    for node in _own(scope):
        iterated: list[ast.AST] = []
        match node:
            case ast.For(iter=source) | ast.AsyncFor(iter=source) | ast.Starred(value=source) | ast.YieldFrom(value=source):
                iterated = [source]
            case ast.ListComp(generators=generators) | ast.GeneratorExp(generators=generators) | ast.DictComp(generators=generators):
                iterated = [] if node in harmless else [generator.iter for generator in generators]
            case ast.Call(func=ast.Name(id="list" | "tuple" | "iter" | "enumerate" | "zip" | "map" | "filter" | "dict"), args=args):
                iterated = [*args]
            case ast.Call(func=ast.Attribute(attr="join" | "extend" | "fromkeys"), args=args):
                iterated = [*args]
            case ast.Call(func=ast.Attribute(attr="pop", value=owner), args=[]):
                iterated = [owner]
            case _:
                pass
        for source in iterated:
            if is_set(source):
                yield source.lineno, "iterates over a set"  # type: ignore[attr-defined]  # every expression has a line


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of ``scope`` without those of functions inside it."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _names_of_sets(node: ast.AST) -> list[str]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Set() | ast.SetComp() | ast.Call(func=ast.Name(id="set" | "frozenset"))):
            return [name]
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation) if _is_set_type(annotation):
            return [name]
        case _:
            return []


def _is_set_type(annotation: ast.AST) -> bool:
    match annotation:
        case ast.Subscript(value=ast.Name(id="Final" | "ClassVar"), slice=inner):
            return _is_set_type(inner)
        case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)):
            return name in {"set", "frozenset", "Set", "AbstractSet", "FrozenSet"}
        case _:
            return False
