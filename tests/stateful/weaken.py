"""Weaker guards: one clause of ``is_enabled`` at a time says yes where it said no."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import partial
from typing import Any

from mina_p2p.state import P2pState
from mina_p2p.store import Machine

Guard = Callable[[Any, P2pState, int], bool]

_WIDER: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.LtE, ast.Gt: ast.GtE}
_STRICTER: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.LtE: ast.Lt, ast.GtE: ast.Gt}
"""The latter weakens where the comparison is a reason to refuse."""


def with_guard(machine: Machine[P2pState], action: type[Any], guard: Guard) -> Machine[P2pState]:
    """A machine in which one action has another guard; the one given stays as it is."""
    return machine.replaced(action, guard=guard)


def always(_action: Any, _state: P2pState, _now: int) -> bool:
    """The weakest guard."""
    return True


def weakenings(action: type[Any]) -> Iterator[tuple[str, Guard]]:
    """Guards of an action class that differ from its own in one place, each with the clause that was lost or moved."""
    own: Any = vars(action).get("is_enabled")
    if own is None:
        return
    tree = _source(own)
    asks_why = "return not self.why_refused(state, now)" in ast.unparse(tree)
    if asks_why:
        own = vars(action)["why_refused"]
        tree = _source(own)
    for index, (node, is_refusal) in enumerate(_walk(tree)):
        for change, text in _changes(node, is_refusal=is_refusal):
            weaker = deepcopy(tree)
            change(list(_walk(weaker))[index][0])
            made = _compiled(weaker, own)
            yield f"{action.__name__}: {text}", partial(_without_reason, made) if asks_why else made


def _source(function: Any) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _without_reason(why_refused: Callable[[Any, P2pState, int], str], action: Any, state: P2pState, now: int) -> bool:
    """A guard that says yes where there is no reason for a no."""
    return not why_refused(action, state, now)


def _walk(node: ast.AST, *, is_refusal: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, with whether it is in a condition under which the answer is no."""
    yield node, is_refusal
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        if isinstance(node, ast.Match) and field == "subject":
            continue
        inverts = isinstance(node, ast.If) and field == "test" and _refuses(node.body)
        for child in children:
            if isinstance(child, ast.AST):
                yield from _walk(child, is_refusal=is_refusal or inverts)


def _refuses(body: list[ast.stmt]) -> bool:
    match body:
        case [ast.Return(value=ast.Constant(value=False))]:
            return True
        case [ast.Return(value=ast.Constant(value=str() as reason))]:
            return bool(reason)
        case _:
            return False


def _changes(node: ast.AST, *, is_refusal: bool) -> Iterator[tuple[Callable[[Any], None], str]]:
    match node:
        case ast.BoolOp(op=ast.And(), values=values) if not is_refusal:
            for at, value in enumerate(values):
                yield partial(_set, at=at, constant=True), f"without `{ast.unparse(value)}`"
        case ast.BoolOp(op=ast.Or(), values=values) if is_refusal:
            for at, value in enumerate(values):
                yield partial(_set, at=at, constant=False), f"without `{ast.unparse(value)}`"
        case ast.Compare(ops=ops):
            for at, op in enumerate(ops):
                if type(op) in (_STRICTER if is_refusal else _WIDER):
                    yield partial(_move, at=at), f"{type(op).__name__} {at} of `{ast.unparse(node)}`"
        case ast.If(test=test, body=body) if _refuses(body):
            yield _never, f"never `if {ast.unparse(test)}`"
        case ast.match_case(pattern=ast.MatchClass(kwd_attrs=names, kwd_patterns=parts)) if not all(
            isinstance(part, ast.MatchAs) for part in parts
        ):
            yield _any_value, f"any {', '.join(names)} in `case {ast.unparse(node.pattern)}`"
        case _:
            return


def _never(found: ast.If) -> None:
    found.test = ast.Constant(value=False)


def _set(found: ast.BoolOp, *, at: int, constant: bool) -> None:
    found.values[at] = ast.Constant(value=constant)


def _move(found: ast.Compare, *, at: int) -> None:
    found.ops[at] = {**_WIDER, **_STRICTER}[type(found.ops[at])]()


def _any_value(found: ast.match_case) -> None:
    """Keep what a class pattern captures, drop what it compares."""
    pattern = found.pattern
    assert isinstance(pattern, ast.MatchClass)
    pattern.kwd_patterns = [p if isinstance(p, ast.MatchAs) else ast.MatchAs() for p in pattern.kwd_patterns]


def _compiled(tree: ast.Module, own: Any) -> Any:
    """The function of that source, in the place of ``own``."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            function.decorator_list = []
            function.returns = None
            for argument in function.args.args:
                argument.annotation = None
    namespace: dict[str, Any] = dict(own.__globals__)
    exec(compile(ast.fix_missing_locations(tree), "<weaker guard>", "exec"), namespace)  # compiled from the guard's own source
    return namespace[own.__name__]
