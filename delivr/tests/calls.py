"""Which functions call which, from the source: for the guards."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

Name = tuple[str, str]  # module, function


@dataclass
class Function:
    calls: set[Name] = field(default_factory=set)
    is_atomic: bool = False


def functions(paths: Iterable[Path]) -> dict[Name, Function]:
    """Every function and method; those with the same name in one module count as one."""
    found: dict[Name, Function] = {}
    for path in paths:
        module = ".".join(path.relative_to(settings.BASE_DIR).with_suffix("").parts)
        tree = ast.parse(path.read_text())
        origin = _origins(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                function = found.setdefault((module, node.name), Function())
                function.calls |= set(_calls(node, module, origin))
                function.is_atomic |= _is_atomic(node)
    return found


def _origins(tree: ast.AST) -> dict[str, Name]:
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _calls(node: ast.FunctionDef, module: str, origin: dict[str, Name]) -> Iterable[Name]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            yield origin.get(call.func.id, (module, call.func.id))
        elif isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            yield module, call.func.attr  # a method, if it belongs to this module


def _is_atomic(node: ast.FunctionDef) -> bool:
    blocks = (
        item.context_expr for w in ast.walk(node) if isinstance(w, ast.With) for item in w.items
    )
    return any("atomic" in ast.unparse(part) for part in (*node.decorator_list, *blocks))


def reaches(start: Name, goals: set[Name], known: dict[Name, Function]) -> bool:
    """True if `start` calls one of the goals, directly or indirectly."""
    seen, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name in goals:
            return True
        if name in known and name not in seen:
            seen.add(name)
            waiting += known[name].calls
    return False


def literals(paths: Iterable[Path], keyword: str) -> set[str]:
    """The string literals that calls pass as this keyword."""
    return {
        given.value.value
        for path in paths
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        for given in call.keywords
        if given.arg == keyword and isinstance(given.value, ast.Constant)
    }
