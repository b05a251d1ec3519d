"""Hyper-parameters and loss weights, checked while planning, which must not import torch.

A model's ``Settings`` and ``LossWeights`` are dataclasses in the model's own module. Those classes
alone, with the constants and functions that they use, are taken out of the module's source and
built, so that types, ranges and rules over several keys stay written in one place: with the model.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import difflib
import functools
import importlib
import importlib.abc
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prismflow.errors import InputError
from prismflow.settings.architectures import module_of
from prismflow.settings.fields import fits
from prismflow.settings.sentences import found_words, type_words

_PACKAGE = __name__.partition(".")[0]
#: What classes of settings may use as it is: nothing there imports numpy or torch.
_LIGHT = (f"{_PACKAGE}.errors", f"{_PACKAGE}.settings.")
SECTIONS = {"hyperparameters": "Settings", "loss": "LossWeights"}


class _Statement(importlib.abc.InspectLoader):
    """Imports a single statement of a module of this package."""

    def __init__(self, node: ast.stmt) -> None:
        self.node = node

    def get_source(self, fullname: str) -> str:
        """The statement, with annotations left as text: they may name what isn't there."""
        return f"from __future__ import annotations\n{ast.unparse(self.node)}\n"


class _Source:
    """A module as its source says, with those of its names that can be had without torch."""

    def __init__(self, name: str) -> None:
        path = Path(__file__).parents[1].joinpath(*name.split(".")[1:])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        self.defined: dict[str, ast.stmt] = {}
        self.imported: dict[str, tuple[str, str]] = {}
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                self.defined[node.name] = node
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self.imported[alias.asname or alias.name] = (str(node.module), alias.name)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    self.imported[alias.asname or alias.name.partition(".")[0]] = (alias.name, "")
            for target in _targets(node):
                self.defined[target] = node
        # Dataclasses look their annotations up in the module that they say they come from.
        self.module = types.ModuleType(f"planned:{name}")
        sys.modules[self.module.__name__] = self.module
        self._tried: set[str] = set()

    def value(self, name: str) -> Any:
        """What ``name`` means here.

        Raises:
            LookupError: it can't be had without torch.
        """
        space = vars(self.module)
        if name in space:
            return space[name]
        if name not in self._tried:
            self._tried.add(name)
            if name in self.defined:
                self._define(self.defined[name])
            elif name in self.imported:
                space[name] = _imported(*self.imported[name])
        if name in space:
            return space[name]
        if hasattr(builtins, name):
            return getattr(builtins, name)
        raise LookupError(name)

    def _define(self, node: ast.stmt) -> None:
        at_once = set(_read_at_once(node))
        for name in at_once:
            self.value(name)
        for name in {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} - at_once:
            # Bodies of functions may name what planning never calls.
            self._try(name)
        _Statement(node).exec_module(self.module)

    def _try(self, name: str) -> None:
        try:
            self.value(name)
        except LookupError:
            return


def _targets(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign):
        return [t.id for t in node.targets if isinstance(t, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        return [node.target.id]
    return []


def _read_at_once(node: ast.AST) -> Iterator[str]:
    """Names that are read when a statement runs; not those of annotations and function bodies."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id
    own = {t for s in node.body for t in _targets(s)} if isinstance(node, ast.ClassDef) else set()
    for field, part in ast.iter_fields(node):
        if field in ("annotation", "returns") or (
            isinstance(node, ast.FunctionDef) and field == "body"
        ):
            continue
        for item in part if isinstance(part, list) else [part]:
            if isinstance(item, ast.AST):
                yield from (name for name in _read_at_once(item) if name not in own)


@functools.cache
def _source(module: str) -> _Source:
    return _Source(module)


def _imported(module: str, name: str) -> Any:
    if module.partition(".")[0] in sys.stdlib_module_names or module.startswith(_LIGHT):
        found = importlib.import_module(module)
        return getattr(found, name) if name else found
    if module.startswith(f"{_PACKAGE}.") and name:
        return _source(module).value(name)
    raise LookupError(f"{module}.{name}")


def _model(module: str, architecture: str) -> ast.ClassDef:
    """The class whose attribute ``architecture`` has this value."""
    for node in _source(module).defined.values():
        if isinstance(node, ast.ClassDef):
            value = _attribute(node, "architecture")
            if isinstance(value, ast.Constant) and value.value == architecture:
                return node
    raise LookupError(f"{module} has no class whose `architecture` is {architecture!r}")


def _attribute(node: ast.ClassDef, name: str) -> ast.expr | None:
    for item in node.body:
        if isinstance(item, ast.Assign | ast.AnnAssign) and name in _targets(item):
            return item.value
    return None


def _inherited(module: str, node: ast.ClassDef, name: str) -> tuple[str, ast.expr] | None:
    """Module and value of an attribute of a class or of its bases."""
    value = _attribute(node, name)
    if value is not None:
        return module, value
    for base in node.bases:
        place, inherited = module, base.id if isinstance(base, ast.Name) else ""
        while inherited in _source(place).imported:
            place, inherited = _source(place).imported[inherited]
            if not place.startswith(f"{_PACKAGE}."):
                break
        else:
            definition = _source(place).defined.get(inherited)
            if isinstance(definition, ast.ClassDef):
                found = _inherited(place, definition, name)
                if found is not None:
                    return found
    return None


@functools.cache
def settings_class(architecture: str, section: str = "hyperparameters") -> type:
    """The dataclass of an architecture's hyper-parameters or loss weights, built without torch.

    Args:
        architecture: its name in the registry.
        section: ``hyperparameters`` or ``loss``.

    Raises:
        LookupError: the class needs something that only torch or numpy can give.
    """
    module = module_of(architecture)
    found = _inherited(module, _model(module, architecture), SECTIONS[section])
    if found is None or not isinstance(found[1], ast.Name):
        raise LookupError(f"{architecture} has no {SECTIONS[section]}")
    return typing.cast(type, _source(found[0]).value(found[1].id))


def check_values(
    architecture: str, section: str, given: Mapping[str, Any], where: Callable[..., str]
) -> None:
    """Refuse hyper-parameters or loss weights that the model would refuse in its job.

    Args:
        architecture: its name in the registry.
        section: ``hyperparameters`` or ``loss``.
        given: the values that differ from the defaults.
        where: file and line of keys below the model.

    Raises:
        InputError: an unknown key, a value of another type or out of range.
    """
    cls = settings_class(architecture, section)
    kinds = typing.get_type_hints(cls)
    known = [field.name for field in dataclasses.fields(cls)]
    what = "hyperparameter" if section == "hyperparameters" else "loss weight"
    for name, value in given.items():
        if name not in known:
            hint = difflib.get_close_matches(str(name), known, n=1)
            advice = f"did you mean {hint[0]!r}?" if hint else "remove it."
            raise InputError(
                f"{where(section, name)}: unknown {what} {name!r} of {architecture}; expected only "
                f"{', '.join(sorted(known)) or 'none'}; {advice}"
            )
        if not fits(value, kinds[name]):
            numeric = bool({int, float} & {kinds[name], *typing.get_args(kinds[name])})
            raise InputError(
                f"{where(section, name)}: expected {type_words(kinds[name])}, "
                f"{found_words(value, numeric)}"
            )
    listed = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
    try:
        cls(**listed)
    except InputError as error:
        named = [name for name in given if re.search(rf"\b{re.escape(name)}\b", str(error))]
        raise InputError(f"{where(section, *named[:1])}: {error}") from None
