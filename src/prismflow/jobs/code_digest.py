"""Digests of the code that a result depends on.

Snakemake watches a rule's script but not the packages that the script imports. Every scripted rule
therefore carries ``code_digest(...)`` of its stage's modules as a parameter: an edit of one model
retrains that model, an edit of a plot redraws figures, and nothing else moves.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from pathlib import Path
from typing import Any

PACKAGE = "prismflow"
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _root() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(PACKAGE)
    return Path(spec.origin).parent


@functools.cache
def _file_of(module: str) -> Path | None:
    """File of a module of this package, or None if ``module`` is no module."""
    parts = module.split(".")[1:]
    path = _root().joinpath(*parts)
    for candidate in (path / "__init__.py", path.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


def _describe(part: Any, words: list[str], imports: list[ast.Import | ast.ImportFrom]) -> None:
    """Write a part of a syntax tree down, but for docstrings and places, and note its imports.

    One walk instead of ast.walk and ast.dump: every start of Snakemake waits for this.
    """
    kind = type(part)
    if kind is list:
        words.append("[")
        for element in part:
            _describe(element, words, imports)
        words.append("]")
    elif issubclass(kind, ast.AST):
        if kind in (ast.Import, ast.ImportFrom):
            imports.append(part)
        words.append(kind.__name__)
        fields = part.__dict__
        documented = kind in _DOCUMENTED and ast.get_docstring(part, clean=False) is not None
        for name in part._fields:
            value = fields.get(name)
            if documented and name == "body":
                value = value[1:]
            _describe(value, words, imports)
    else:
        words.append(repr(part))


def _loaded_by_name(tree: ast.Module) -> tuple[str, ...]:
    """Modules that a module says it loads at run time, in a constant ``LOADED_BY_NAME``."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "LOADED_BY_NAME"
            for target in node.targets
        ):
            return tuple(ast.literal_eval(node.value))
    return ()


@functools.cache
def _parsed(module: str) -> tuple[str, frozenset[str]]:
    """Digest of one module's syntax tree, and the modules of this package that it imports."""
    path = _file_of(module)
    if path is None:
        raise ModuleNotFoundError(f"no module {module} in package {PACKAGE}")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    words: list[str] = []
    imports: list[ast.Import | ast.ImportFrom] = []
    _describe(tree, words, imports)
    imported: set[str] = set()
    for node in imports:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] == PACKAGE and _file_of(name):
                parts = name.split(".")
                imported.update(".".join(parts[:end]) for end in range(2, len(parts) + 1))
    imported.update(_loaded_by_name(tree))
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()
    return digest, frozenset(imported - {module})


@functools.cache
def code_digest(*modules: str) -> str:
    """Short digest over the syntax trees of ``modules`` and all that they import in this package.

    Comments, layout and docstrings do not count. Modules that are loaded by name at run time are
    not reached through imports: model architectures and plots are named by the rule, others by a
    constant ``LOADED_BY_NAME`` in the module that loads them.
    """
    pending = [name if name.startswith(PACKAGE) else f"{PACKAGE}.{name}" for name in modules]
    reached: dict[str, str] = {}
    while pending:
        module = pending.pop()
        if module not in reached:
            reached[module], imported = _parsed(module)
            pending.extend(imported)
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(reached.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
