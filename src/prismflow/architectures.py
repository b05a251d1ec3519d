"""What planning must know about architectures, without importing torch.

The fields of an architecture's ``Settings`` dataclass are read from the syntax tree of its module,
so the dataclass stays the one place where a hyperparameter and its default are written.
"""

from __future__ import annotations

import ast
import difflib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prismflow.errors import InputError
from prismflow.models import ARCHITECTURES

SEQUENCE_ONLY = frozenset({"caduceus", "mamba", "hyena", "enformer", "gene_features"})


def default_modalities(architecture: str) -> str:
    """``none`` for architectures that read no signal, else ``available``."""
    return "none" if architecture in SEQUENCE_ONLY else "available"


def module_of(architecture: str) -> str:
    """Module of an architecture, for code digests."""
    return ARCHITECTURES[architecture][0]


@functools.cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    relative = Path(*module.split(".")[1:])
    path = (Path(__file__).parent / relative).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


@functools.cache
def hyperparameter_types(architecture: str) -> dict[str, str]:
    """Name -> annotation of every field of the architecture's ``Settings`` (bases included)."""
    module, name = ARCHITECTURES[architecture]
    classes = _classes(module)
    settings = _settings_class(classes, name)
    return _fields(classes, settings)


def _settings_class(classes: Mapping[str, ast.ClassDef], name: str) -> str:
    for node in classes[name].body:
        if isinstance(node, ast.ClassDef) and node.name == "Settings":
            return "Settings"
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if (
            isinstance(target, ast.Name)
            and target.id == "Settings"
            and isinstance(node.value, ast.Name)
        ):
            return node.value.id
    for base in classes[name].bases:
        if isinstance(base, ast.Name) and base.id in classes:
            return _settings_class(classes, base.id)
    raise LookupError(f"class {name} has no Settings")


def _fields(classes: Mapping[str, ast.ClassDef], name: str) -> dict[str, str]:
    node = classes[name]
    fields: dict[str, str] = {}
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            fields |= _fields(classes, base.id)
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            annotation = ast.unparse(item.annotation)
            if "ClassVar" not in annotation:
                fields[item.target.id] = annotation
    return fields


def check_hyperparameters(architecture: str, given: Mapping[str, Any], where: str) -> None:
    """Refuse hyperparameters that the architecture doesn't have.

    Raises:
        InputError: names the unknown key and the known ones.
    """
    known = hyperparameter_types(architecture)
    for name in given:
        if name not in known:
            hint = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {hint[0]!r}?" if hint else "remove it."
            raise InputError(
                f"{where}: unknown hyperparameter {name!r} of {architecture}; expected only "
                f"{', '.join(sorted(known)) or 'none'}; {advice}"
            )
