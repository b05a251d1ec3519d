"""Digests of the code that a result depends on.

Snakemake watches a rule's script but not the packages that the script imports. Every scripted rule
therefore carries ``code_digest(...)`` of its stage's modules as a parameter: an edit of one model
retrains that model, an edit of a plot redraws figures, and nothing else moves.

What counts is found in the syntax trees: imports, also those inside functions, and strings that
are the name of a module of this package, because that is how modules are loaded by name.
"""

from __future__ import annotations

import ast
import atexit
import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

PACKAGE = "prismflow"
NEUTRAL: dict[str, str] = {
    "prismflow": "holds the version, no function",
    "prismflow.errors": "the sentence that ends a job, which then has no result",
    "prismflow.jobs": "a docstring",
    "prismflow.jobs.code_digest": "names code, computes nothing that is written",
    "prismflow.jobs.patches": "describes patches; each counts where it is imported",
    "prismflow.jobs.terminal": "says whether a job prints beside its log",
    "prismflow.settings.architectures": "a job gets the class of its model in its settings, and "
    "its rule names the class's module",
    "prismflow.settings.sentences": "words what is wrong with a setting; a job whose settings are "
    "refused has no result",
    "prismflow.settings.yaml_files": "a job gets settings as parameters, which Snakemake compares",
    "prismflow.training.devices": "where a step runs, and sentences; what changes numbers stands "
    "in training.determinism",
    "prismflow.training.kept": "where the state of an unfinished run lies, as training.state",
    "prismflow.training.progress": "log lines and a bar on a terminal",
    "prismflow.training.state": "keeps an unfinished run; a finished one has none, and a "
    "continued one ends with the bytes of an uninterrupted one",
}
"""Modules that no result depends on, with the reason: neither they nor their imports count."""

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


def _describe(
    part: Any, words: list[str], imports: list[ast.Import | ast.ImportFrom], strings: set[str]
) -> None:
    """Write a part of a syntax tree down, but for docstrings and places.

    Its imports are noted, and its strings that begin with the package's name.

    One walk instead of ast.walk and ast.dump: every start of Snakemake waits for this.
    """
    kind = type(part)
    if kind is list:
        words.append("[")
        for element in part:
            _describe(element, words, imports, strings)
        words.append("]")
    elif issubclass(kind, ast.AST):
        if kind in (ast.Import, ast.ImportFrom):
            imports.append(part)
        elif kind is ast.Constant and str(part.value).startswith(f"{PACKAGE}."):
            strings.add(part.value)
        words.append(kind.__name__)
        fields = part.__dict__
        documented = kind in _DOCUMENTED and ast.get_docstring(part, clean=False) is not None
        for name in part._fields:
            value = fields.get(name)
            if documented and name == "body":
                value = value[1:]
            _describe(value, words, imports, strings)
    else:
        words.append(repr(part))


def _named(strings: set[str]) -> set[str]:
    """Names of modules among strings of the form ``module`` or ``module:Class``."""
    names = {string.partition(":")[0] for string in strings}
    modules = {n for n in names if all(map(str.isidentifier, n.split("."))) and _file_of(n)}
    return {parent for name in modules for parent in _with_parents(name)}


def _with_parents(module: str) -> list[str]:
    """A module and the packages whose ``__init__`` its import runs."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(2, len(parts) + 1)]


@functools.cache
def _parsed(module: str) -> tuple[str, frozenset[str]]:
    """Digest of one module's syntax tree, and the modules of this package that it imports."""
    path = _file_of(module)
    if path is None:
        raise ModuleNotFoundError(f"no module {module} in package {PACKAGE}")
    content = path.read_bytes()
    kept, key = _kept(), f"{module} {hashlib.sha256(content).hexdigest()}"
    if key not in kept:
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        kept[key] = _read(content, package)
    digest, names, strings = kept[key]
    imported = _named(set(strings))
    for name in names:
        if _file_of(name):
            imported.update(_with_parents(name))
    return digest, frozenset(imported - {module})


def _read(content: bytes, package: str) -> tuple[str, list[str], list[str]]:
    """What a module's text alone says: its digest, what it may import, names of modules in it."""
    words: list[str] = []
    imports: list[ast.Import | ast.ImportFrom] = []
    strings: set[str] = set()
    _describe(ast.parse(content), words, imports, strings)
    found: set[str] = set()
    for node in imports:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        found.update(name for name in names if name.split(".")[0] == PACKAGE)
    digest = hashlib.sha256("\n".join(words).encode()).hexdigest()
    return digest, sorted(found), sorted(strings)


AT_MOST = 2000
"""Texts whose digests are kept; beyond, those of older texts are forgotten."""


@functools.cache
def _kept() -> dict[str, Any]:
    """What :func:`_read` said of texts in earlier processes; written anew where this one read more.

    Every start of Snakemake would parse two hundred modules. A text is known by its SHA-256, and
    the file belongs to this Python and this module, as compiled code does.
    """
    own = hashlib.sha256(f"{sys.version} {PACKAGE} ".encode() + Path(__file__).read_bytes())
    file = _root() / "__pycache__" / f"digests-{own.hexdigest()[:16]}.json"
    kept: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        kept.update(json.loads(file.read_text(encoding="utf-8")))
    before = len(kept)

    def write() -> None:
        if len(kept) == before:
            return
        with contextlib.suppress(OSError):
            file.parent.mkdir(exist_ok=True)
            part = file.with_name(f".{file.name}.{os.getpid()}")
            newest = dict(list(kept.items())[-AT_MOST:])
            part.write_text(json.dumps(newest), encoding="utf-8")
            part.replace(file)

    atexit.register(write)
    return kept


def modules_reached(*modules: str) -> dict[str, str]:
    """Modules that count for ``modules``, themselves included, with the digest of each.

    Args:
        modules: names, with or without the package's.
    """
    given = [name if name.startswith(PACKAGE) else f"{PACKAGE}.{name}" for name in modules]
    pending = [parent for name in given for parent in _with_parents(name)]
    reached: dict[str, str] = {}
    while pending:
        module = pending.pop()
        if module not in reached and module not in NEUTRAL:
            reached[module], imported = _parsed(module)
            pending.extend(imported)
    return reached


@functools.cache
def code_digest(*modules: str) -> str:
    """Short digest over the syntax trees of ``modules`` and all that they reach in this package.

    Comments, layout and docstrings do not count, nor do modules in :data:`NEUTRAL`. Which model or
    plot a job loads is said by its parameters; the rule names these modules here.
    """
    reached = modules_reached(*modules)
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(reached.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def files_digest(folder: str) -> str:
    """Short digest over the files of a folder of the package that aren't Python.

    Args:
        folder: below the package, such as ``figures/page``.
    """
    digest = hashlib.sha256()
    for path in sorted((_root() / folder).iterdir()):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
