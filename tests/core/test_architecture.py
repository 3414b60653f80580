"""The shape of the code: no cycles, small modules and functions, plugins on the public side."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "bioelx_bench"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in CORE.rglob("*.py")
}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imports_of(tree: ast.AST, known: dict[str, Path]) -> set[str]:
    """Modules that stand in import statements outside functions, type-checking ones included."""
    found: set[str] = set()
    inner = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    for node in ast.walk(tree):
        if id(node) in inner:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in known else node.module)
    return {name for name in found if name in known}


def cycles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Groups of modules that reach each other (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = set(stack[stack.index(node) :])
            del stack[stack.index(node) :]
            if len(group) > 1 or node in graph[node]:
                found.append(group)

    for node in graph:
        if node not in index:
            visit(node)
    return found


def test_no_module_imports_itself_in_a_circle() -> None:
    # the package's own file names what it exports, for type checkers alone
    graph = {name: imports_of(tree, MODULES) for name, tree in TREES.items() if name != "bioelx_bench"}
    for targets in graph.values():
        targets.discard("bioelx_bench")
    assert cycles(graph) == []


def test_modules_are_small() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: n for name, n in lengths.items() if n > 400} == {}


def test_the_core_stays_within_its_budget() -> None:
    total = sum(len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES.values())
    bound = 26_000  # may only fall
    assert total <= bound, (
        f"the core has {total:,} lines, {total - bound:,} more than before; the goal is 12,000"
    )


def test_functions_are_small() -> None:
    long: list[str] = []
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                parameters = node.args
                count = len(parameters.args) + len(parameters.kwonlyargs) + len(parameters.posonlyargs)
                command = any("typer" in ast.unparse(a.annotation) for a in parameters.args if a.annotation)
                if (node.end_lineno or 0) - node.lineno + 1 > 60 or (count > 8 and not command):
                    long.append(f"{name}.{node.name}")
    known = {"kb.build.fill", "kb.obo.build_from_obo", "kb.umls.build.build_from_umls"}  # nine arguments
    assert {name.removeprefix("bioelx_bench.") for name in long} <= known


def test_plugins_import_public_modules_only() -> None:
    private: list[str] = []
    for path in (ROOT / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bioelx_bench."):
                names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
                private += [f"{path}: {node.module}" for name in names if name.startswith("_")]
    assert private == []
