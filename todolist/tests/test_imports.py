"""No circle of imports, those inside functions included."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT

PACKAGES = ("accounts", "tasks", "todolist")


def modules() -> dict[str, Path]:
    """Every module of these packages, by its dotted name; no tests, no migrations."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if not {"tests", "migrations"} & set(parts):
                found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imported(path: Path, known: set[str]) -> Iterator[str]:
    """The modules that a module imports, wherever in it, but not for type checking alone."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.If(test=ast.Name("TYPE_CHECKING")):
                waiting += node.orelse
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(source), level=0):
                for alias in node.names:
                    inner = f"{source}.{alias.name}"
                    yield inner if inner in known else source
            case _:
                waiting += ast.iter_child_nodes(node)


def circle(edges: dict[str, set[str]]) -> list[str]:
    """A circle among these, from a module back to itself; nothing where there is none."""
    done: set[str] = set()

    def visit(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done:
            return []
        for other in sorted(edges.get(module, ())):
            if found := visit(other, [*trail, module]):
                return found
        done.add(module)
        return []

    for module in sorted(edges):
        if found := visit(module, []):
            return found
    return []


def test_no_module_imports_itself_by_way_of_others():
    paths = modules()
    edges = {name: {*imported(path, set(paths))} - {name} for name, path in paths.items()}
    assert " -> ".join(circle(edges)) == ""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import b", {"b"}),
        ("from b import c", {"b.c"}),
        ("from b import d", {"b"}),
        ("def f():\n    from b import d", {"b"}),
        ("if TYPE_CHECKING:\n    import b\nelse:\n    import e", {"e"}),
    ],
)
def test_imports_are_found_wherever_they_stand(tmp_path, source, expected):
    path = tmp_path / "a.py"
    path.write_text(source)
    assert {*imported(path, {"b", "b.c"})} == expected


def test_a_circle_is_named():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
