"""The registry: one row per architecture, which planning reads without importing torch.

Jobs never import it: they get the class of their model as ``class`` of its resolved settings, so
a new row concerns no model that is there already. The fields of an architecture's ``Settings``
dataclass are read from the syntax tree of its module, so the dataclass stays the one place where a
hyperparameter and its default are written.
"""

from __future__ import annotations

import ast
import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prismflow.errors import InputError


@dataclass(frozen=True)
class Architecture:
    """What planning must know about an architecture.

    Attributes:
        file: module below ``prismflow.models``.
        name: of the class.
        reads_signals: whether it takes modalities; those that don't are planned without.
        needs_peaks: whether a cell must have a track of peaks.
        tabular: fitted to a table of features, without training steps and without a GPU.
        reads_regional: whether it takes the regional level of its ``background`` signal.
        reads_elements: whether it takes a dataset's candidate enhancers where there are any.
        pretrainable: whether its backbone can start from pretrained weights.
        sized_by_width: whether ``d_model`` times ``n_layers`` says how much a step costs.
    """

    file: str
    name: str
    reads_signals: bool = True
    needs_peaks: bool = False
    tabular: bool = False
    sized_by_width: bool = True
    reads_regional: bool = False
    reads_elements: bool = False
    pretrainable: bool = False

    @property
    def module(self) -> str:
        """Full name of its module."""
        return f"prismflow.models.{self.file}"


ARCHITECTURES: dict[str, Architecture] = {
    "prism": Architecture("prism", "Prism", pretrainable=True),
    "caduceus": Architecture("caduceus", "Caduceus", reads_signals=False, pretrainable=True),
    "caduceus_signals": Architecture("caduceus", "CaduceusSignals", pretrainable=True),
    "mamba": Architecture("mamba", "Mamba", reads_signals=False),
    "hyena": Architecture("hyena", "Hyena", reads_signals=False),
    "enformer": Architecture("enformer", "Enformer", reads_signals=False, sized_by_width=False),
    "epinformer": Architecture(
        "epinformer", "EPInformer", sized_by_width=False, reads_elements=True
    ),
    "seq2exp_soft": Architecture("seq2exp", "Seq2ExpSoft"),
    "seq2exp_hard": Architecture("seq2exp", "Seq2ExpHard"),
    "peak_mask": Architecture("peak_mask", "PeakMask", needs_peaks=True, pretrainable=True),
    "cnn": Architecture("cnn", "CNN", sized_by_width=False),
    "isegnet": Architecture("isegnet", "ISEGNet", sized_by_width=False),
    "infer": Architecture("infer", "InFER", pretrainable=True),
    "gene_features": Architecture("tabular", "GeneFeatures", reads_signals=False, tabular=True),
    "kmer_ridge": Architecture("kmer_ridge", "KmerRidge", reads_signals=False, tabular=True),
    "gbm": Architecture("tabular", "GradientBoosting", tabular=True),
    "gbm_regional": Architecture(
        "regional_boosting", "RegionalBoosting", tabular=True, reads_regional=True
    ),
    "prism_regional": Architecture("prism_regional", "PrismRegional", reads_regional=True),
}


def default_modalities(architecture: str) -> str:
    """``none`` for architectures that read no signal, else ``available``."""
    return "available" if ARCHITECTURES[architecture].reads_signals else "none"


def module_of(architecture: str) -> str:
    """Module of an architecture, for code digests."""
    return ARCHITECTURES[architecture].module


def class_of(architecture: str) -> str:
    """``module:Class`` of an architecture, as resolved settings name it under ``class``.

    Raises:
        InputError: there is no such architecture.
    """
    row = ARCHITECTURES.get(architecture)
    if row is None:
        raise InputError(
            f"architecture {architecture!r} is unknown; known are {', '.join(ARCHITECTURES)}."
        )
    return f"{row.module}:{row.name}"


@functools.cache
def _definitions(module: str) -> dict[str, ast.ClassDef | str]:
    """Classes of a module; for imported names the module of this package they come from."""
    path = Path(__file__).parents[1].joinpath(*module.split(".")[1:]).with_suffix(".py")
    found: dict[str, ast.ClassDef | str] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prismflow."):
            found.update({alias.asname or alias.name: str(node.module) for alias in node.names})
    return found


def _class(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    definition = _definitions(module).get(name)
    if isinstance(definition, str):
        return _class(definition, name)
    return (module, definition) if definition is not None else None


def _bases(module: str, node: ast.ClassDef) -> list[tuple[str, ast.ClassDef]]:
    named = [_class(module, base.id) for base in node.bases if isinstance(base, ast.Name)]
    return [base for base in named if base is not None]


def _settings_class(module: str, node: ast.ClassDef) -> tuple[str, ast.ClassDef] | None:
    """The class that the attribute ``Settings`` of an architecture's class names."""
    for item in node.body:
        targets = item.targets if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
        value = getattr(item, "value", None)
        if any(isinstance(t, ast.Name) and t.id == "Settings" for t in targets) and isinstance(
            value, ast.Name
        ):
            return _class(module, value.id)
    for base_module, base in _bases(module, node):
        found = _settings_class(base_module, base)
        if found is not None:
            return found
    return None


def _fields(module: str, node: ast.ClassDef) -> dict[str, str]:
    fields: dict[str, str] = {}
    for base_module, base in _bases(module, node):
        fields |= _fields(base_module, base)
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            fields[item.target.id] = ast.unparse(item.annotation)
    return fields


@functools.cache
def hyperparameter_types(architecture: str) -> dict[str, str]:
    """Name -> annotation of every field of the architecture's ``Settings`` (bases included)."""
    row = ARCHITECTURES[architecture]
    model = _class(row.module, row.name)
    settings = _settings_class(*model) if model else None
    if settings is None:
        raise LookupError(f"{row.module}.{row.name} has no Settings")
    return _fields(*settings)


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
