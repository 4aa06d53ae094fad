"""Doors run on the event loop: what is no coroutine goes to a thread of the pool, on every single call."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
VERBS = {"get", "post", "put", "patch", "delete", "head"}


def _sync_doors(source: str) -> list[str]:
    """Routes and dependencies of a module that are plain functions."""
    tree = ast.parse(source)
    plain = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name("Depends"), args=[ast.Name(name), *_]) if name in plain:
                found.append(name)
            case ast.FunctionDef(name=name, decorator_list=marks):
                verbs = {
                    mark.func.attr
                    for mark in marks
                    if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute)
                }
                if verbs & VERBS:
                    found.append(name)
    return found


def test_every_route_and_every_dependency_is_a_coroutine() -> None:
    found = {
        str(path.relative_to(ROOT)): names
        for room in ("services", "libs")
        for path in sorted((ROOT / room).rglob("*.py"))
        if (names := _sync_doors(path.read_text()))
    }
    assert found == {}


def test_a_plain_function_is_found() -> None:
    source = """
def _desk(request): ...
AtDesk = Annotated[Desk, Depends(_desk)]
async def _fine(request): ...
Fine = Annotated[Desk, Depends(_fine)]
@router.get("/")
def read(): ...
"""
    assert sorted(_sync_doors(source)) == ["_desk", "read"]
