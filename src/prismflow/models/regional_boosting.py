"""Gradient boosting on signals from which a regional background was taken out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from prismflow.data.inputs import GeneInputs
from prismflow.errors import InputError
from prismflow.models.regional import REMOVALS, Tie, adapt, fit_removal, fit_tie
from prismflow.models.tabular import (
    GradientBoosting,
    GradientBoostingSettings,
    History,
    NoLossWeights,
    load_tabular,
    save_tabular,
    tabular_settings,
    train_tabular,
)
from prismflow.settings.fields import require_choice
from prismflow.settings.regional import regional_name

# What jobs call of the module that a tabular model comes from.
__all__ = ["RegionalBoosting", "load_tabular", "save_tabular", "tabular_settings", "train_tabular"]

LEAST_SHARE = 0.1
"""Share of the regional level that is added to a bin before its logarithm."""


@dataclass(frozen=True)
class RegionalBoostingSettings(GradientBoostingSettings):
    """Hyper-parameters of the boosting, and what is taken out.

    Attributes:
        anchor: the signal of the cause, which the background doesn't touch.
        background: the signal that carries the background; its modality needs ``regional_bp``.
        removal: how the power of its regional level is found, see
            :func:`prismflow.models.regional.fit_removal`.
    """

    anchor: str = "h3k27ac"
    background: str = "dnase"
    removal: str = "two_stage"

    def __post_init__(self) -> None:
        require_choice("removal", self.removal, REMOVALS)


@dataclass(frozen=True, eq=False)
class RegionalBoosting:
    """Boosting whose background signal is divided by a power of its regional level.

    The direct prediction reads a gene's own signals and never the regional level itself; the
    adapted one adds it by the tie among the genes that are predicted together.

    Attributes:
        boosting: on the cleaned columns.
        cleaned: (F,) 1 for columns from which power x level is subtracted.
        power: of the regional level.
        tie: see :class:`prismflow.models.regional.Tie`.
    """

    boosting: GradientBoosting
    cleaned: np.ndarray
    power: float
    tie: Tie

    architecture = "gbm_regional"
    tabular = True
    Settings = RegionalBoostingSettings
    LossWeights = NoLossWeights
    TINY: ClassVar[dict[str, Any]] = GradientBoosting.TINY

    @classmethod
    def train(
        cls,
        train: tuple[np.ndarray, np.ndarray],
        valid: tuple[np.ndarray, np.ndarray],
        settings: RegionalBoostingSettings,
        seed: int,
    ) -> tuple[RegionalBoosting, History]:
        """Find the power on ``train``, boost, and learn the tie on ``valid``.

        Args:
            train, valid: (n, 2 + F) columns of :meth:`design`, and (n,) labels.
        """
        x, label = (np.asarray(part, np.float64) for part in train)
        n_cleaned = int(x[0, 1])
        anchor, background = x[:, -n_cleaned - 1], x[:, -1]
        power = fit_removal(anchor, background, x[:, 0], label, settings.removal)
        boosted = {f.name for f in dataclasses.fields(GradientBoostingSettings)}
        plain = GradientBoostingSettings(
            **{name: value for name, value in vars(settings).items() if name in boosted}
        )
        cleaned = np.zeros(x.shape[1] - 2)
        cleaned[-n_cleaned:] = 1.0
        fitted = (_clean(x, cleaned, power), label)
        held = (_clean(valid[0], cleaned, power), np.asarray(valid[1], np.float64))
        boosting, history = GradientBoosting.train(fitted, held, plain, seed)
        score = boosting.predict(held[0])
        tie = fit_tie(score, valid[0][:, 0], held[1])
        return cls(boosting, cleaned, power, tie), history

    @staticmethod
    def inputs(inputs: GeneInputs) -> GeneInputs:
        """As :class:`GradientBoosting` reads them, the regional level apart from gene features."""
        return GradientBoosting.inputs(inputs)

    @staticmethod
    def design(
        inputs: GeneInputs, rows: np.ndarray, settings: RegionalBoostingSettings
    ) -> np.ndarray:
        """(n, 2 + F) columns: the level, the number k of columns to clean; gene features, bins and
        mean of each other signal, the anchor last; then k columns, the logarithms of the
        background's bins and of its mean.

        Raises:
            InputError: the model doesn't read the anchor or the background.
        """
        name, anchor = settings.background, settings.anchor
        absent = [signal for signal in (anchor, name) if signal not in inputs.modalities]
        if absent:
            raise InputError(
                f"gbm_regional: expected the signals {anchor} (anchor) and {name} (background) "
                f"among those that the model reads, found {', '.join(inputs.modalities) or 'none'};"
                f" name {' and '.join(absent)} in modalities, or set anchor and background."
            )
        level_name = regional_name(name)
        if level_name not in inputs.gene_features:
            raise InputError(
                f"gbm_regional: expected the gene feature {level_name}, found "
                f"{', '.join(inputs.gene_features) or 'none'}; set regional_bp of {name}."
            )
        features = tuple(f for f in inputs.gene_features if f != level_name)
        level = dataclasses.replace(inputs, gene_features=(level_name,)).features(rows)
        level = level.astype(np.float64)
        rest = tuple(s for s in inputs.modalities if s not in (name, anchor))
        # The anchor last, so that the last column is its mean over the window.
        read = dataclasses.replace(inputs, modalities=(*rest, anchor), gene_features=features)
        kept = GradientBoosting.design(read, rows, settings)
        raw = dataclasses.replace(
            inputs, modalities=(name,), gene_features=(), transforms={name: "raw"}
        )
        least = LEAST_SHARE * np.exp(level)
        cleaned = np.log(np.maximum(GradientBoosting.design(raw, rows, settings), 0) + least)
        number = np.full((len(rows), 1), cleaned.shape[1], np.float64)
        return np.concatenate([level, number, kept, cleaned], axis=1)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n, 2 + F) columns of :meth:`design` -> (n,) direct predictions."""
        return self.boosting.predict(_clean(x, self.cleaned, self.power))

    def outputs(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """``direct`` and ``adapted`` predictions of genes that belong together, each (n,)."""
        direct = self.predict(x)
        return {"direct": direct, "adapted": adapt(direct, x[:, 0], self.tie)}

    @property
    def n_parameters(self) -> int:
        """Those of the boosting, the power and the tie's two numbers."""
        return self.boosting.n_parameters + 3

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything that prediction needs, as arrays by name."""
        numbers = np.array([self.power, self.tie.slope, self.tie.reliability])
        return {**self.boosting.tensors(), "cleaned": self.cleaned, "regional": numbers}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> RegionalBoosting:
        """The model that :meth:`tensors` describes."""
        power, slope, reliability = (float(value) for value in tensors["regional"])
        boosting = GradientBoosting.from_tensors(tensors)
        return cls(boosting, tensors["cleaned"], power, Tie(slope, reliability))


def _clean(x: np.ndarray, cleaned: np.ndarray, power: float) -> np.ndarray:
    x = np.asarray(x, np.float64)
    return x[:, 2:] - power * x[:, :1] * cleaned
