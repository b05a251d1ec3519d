"""Models without a network: ridge regression, and gradient boosting on binned signals.

What a sceptic tries first. Both are trained without torch and stored as plain arrays; predictions
are computed by the few lines of numpy here, so that no pickled estimator is ever loaded.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from threadpoolctl import threadpool_limits

from prismflow.arrays import load_arrays, save_arrays
from prismflow.data.inputs import READ_GENES, GeneInputs
from prismflow.data.layouts import layout_of
from prismflow.errors import InputError
from prismflow.jobs.patches.trees import trees_of
from prismflow.models import class_of
from prismflow.statistics.agreement import regression_metrics

logger = logging.getLogger(__name__)

History = list[dict[str, Any]]


@dataclass(frozen=True)
class NoLossWeights:
    """Tabular models have no weighted loss terms."""


@dataclass(frozen=True)
class GeneFeaturesSettings:
    """Hyper-parameters of the ridge regression.

    Attributes:
        largest_alpha, smallest_alpha: ends of the grid of penalties, per training gene.
        n_alphas: size of the grid, even in the logarithm.
    """

    largest_alpha: float = 10.0
    smallest_alpha: float = 1e-5
    n_alphas: int = 25


@dataclass(frozen=True, eq=False)
class GeneFeatures:
    """Ridge regression on the gene features alone: no sequence, no signals.

    Features are standardised on the training genes; the penalty with the lowest validation MSE is
    kept. Without gene features it predicts the mean label of the training genes. The seed has no
    effect, since nothing is drawn at random.

    Attributes:
        mean, scale: (F,) of the training genes; the scale of a constant feature is 1.
        coefficients: (F,) for standardised features.
        intercept: mean training label.
    """

    mean: np.ndarray
    scale: np.ndarray
    coefficients: np.ndarray
    intercept: float

    architecture = "gene_features"
    tabular = True
    Settings = GeneFeaturesSettings
    LossWeights = NoLossWeights
    TINY: ClassVar[dict[str, Any]] = {"n_alphas": 5}

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, alpha: float) -> GeneFeatures:
        """Closed-form ridge regression of (n,) labels on (n, F) features.

        Minimises mean squared error + ``alpha`` x sum of squared standardised coefficients.
        """
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        mean, scale = x.mean(axis=0), x.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        z = (x - mean) / scale
        gram = z.T @ z / len(y) + alpha * np.eye(x.shape[1])
        coefficients = np.linalg.solve(gram, z.T @ (y - y.mean()) / len(y))
        return cls(mean, scale, coefficients, float(y.mean()))

    @classmethod
    def train(
        cls,
        train: tuple[np.ndarray, np.ndarray],
        valid: tuple[np.ndarray, np.ndarray],
        settings: GeneFeaturesSettings,
        seed: int,
    ) -> tuple[GeneFeatures, History]:
        """Fit every penalty on ``train`` (features, labels); keep the best on ``valid``."""
        alphas = np.geomspace(settings.largest_alpha, settings.smallest_alpha, settings.n_alphas)
        models = [cls.fit(*train, alpha) for alpha in (alphas if train[0].shape[1] else alphas[:1])]
        history = [
            history_row(step, train[1], model.predict(train[0]), valid[1], model.predict(valid[0]))
            for step, model in enumerate(models, start=1)
        ]
        return models[best_step(history)], history

    @staticmethod
    def inputs(inputs: GeneInputs) -> GeneInputs:
        """The inputs as this model reads them: unchanged."""
        return inputs

    @staticmethod
    def design(inputs: GeneInputs, rows: np.ndarray, settings: GeneFeaturesSettings) -> np.ndarray:
        """(n, F) features of :meth:`predict`."""
        return inputs.features(rows)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n, F) features -> (n,) predictions."""
        z = (np.asarray(x, np.float64) - self.mean) / self.scale
        return z @ self.coefficients + self.intercept

    @property
    def n_parameters(self) -> int:
        """Number of coefficients, and the intercept."""
        return self.coefficients.size + 1

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything that prediction needs, as arrays by name."""
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in dataclasses.fields(self)}
        return {**arrays, "intercept": np.array([self.intercept])}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> GeneFeatures:
        """The model that :meth:`tensors` describes."""
        arrays: dict[str, Any] = {f.name: tensors[f.name] for f in dataclasses.fields(cls)}
        return cls(**{**arrays, "intercept": float(arrays["intercept"][0])})


@dataclass(frozen=True)
class GradientBoostingSettings:
    """Hyper-parameters of the boosted trees.

    Attributes:
        bin_bp: width of the bins over which signals are averaged, from the window's start; the
            last bin may be shorter. The mean over the whole window is always added.
        max_iter: trees that are grown; how many are used is chosen by validation MSE.
        learning_rate: shrinkage of each tree.
        max_leaf_nodes, min_samples_leaf, l2_regularization: of each tree.
        max_features: share of the features that each split may choose from; below 1 it is what
            makes seeds differ.
    """

    bin_bp: int = 100
    max_iter: int = 300
    learning_rate: float = 0.05
    max_leaf_nodes: int = 15
    min_samples_leaf: int = 10
    l2_regularization: float = 1.0
    max_features: float = 0.3


_NODE_FIELDS = (
    "value", "feature_idx", "num_threshold", "missing_go_to_left", "left", "right", "is_leaf",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class GradientBoosting:
    """Histogram gradient boosting on gene features and binned signals, no sequence.

    Tracks that the settings leave raw enter as log(1 + x) per base, contacts with their own
    transform (log10(1 + x) by default); both are averaged in bins and over the whole window.

    Attributes:
        nodes: arrays over all nodes of all trees: ``value``, ``feature_idx``, ``num_threshold``,
            ``missing_go_to_left``, ``left``, ``right`` (within the tree) and ``is_leaf``.
        offsets: (T + 1,) first node of each tree.
        baseline: prediction before the first tree.
    """

    nodes: dict[str, np.ndarray]
    offsets: np.ndarray
    baseline: float

    architecture = "gbm"
    tabular = True
    Settings = GradientBoostingSettings
    LossWeights = NoLossWeights
    TINY: ClassVar[dict[str, Any]] = {"max_iter": 20, "bin_bp": 64}

    @classmethod
    def train(
        cls,
        train: tuple[np.ndarray, np.ndarray],
        valid: tuple[np.ndarray, np.ndarray],
        settings: GradientBoostingSettings,
        seed: int,
    ) -> tuple[GradientBoosting, History]:
        """Grow trees on ``train`` (features, labels); keep as many as are best on ``valid``."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        options = dataclasses.asdict(settings)
        del options["bin_bp"]
        estimator = HistGradientBoostingRegressor(
            **options, early_stopping=False, random_state=seed
        )
        x, y = np.asarray(train[0], np.float64), np.asarray(train[1], np.float64)
        estimator.fit(x, y)
        stages = zip(estimator.staged_predict(x), estimator.staged_predict(valid[0]), strict=True)
        history = [
            history_row(step, y, fitted, valid[1], predicted, settings.learning_rate)
            for step, (fitted, predicted) in enumerate(stages, start=1)
        ]
        return cls.from_estimator(estimator, history[best_step(history)]["step"]), history

    @classmethod
    def from_estimator(cls, estimator: Any, n_trees: int) -> GradientBoosting:
        """The first ``n_trees`` trees of a fitted ``HistGradientBoostingRegressor``."""
        trees, baseline = trees_of(estimator, n_trees)
        offsets = np.cumsum([0, *(len(tree) for tree in trees)]).astype(np.int64)
        nodes = {
            name: np.concatenate([tree[name] for tree in trees]).astype(
                np.float64 if name in ("value", "num_threshold") else np.int64
            )
            for name in _NODE_FIELDS
        }
        return cls(nodes, offsets, baseline)

    @staticmethod
    def inputs(inputs: GeneInputs) -> GeneInputs:
        """The inputs as this model reads them: raw tracks as log(1 + x)."""
        layouts = {m: layout_of(inputs.store.modality(m)) for m in inputs.modalities}
        transforms = {
            name: "log1p" if transform == "raw" and not layouts[name].is_binned else transform
            for name, transform in inputs.transforms.items()
        }
        return dataclasses.replace(inputs, transforms=transforms)

    @staticmethod
    def design(
        inputs: GeneInputs, rows: np.ndarray, settings: GradientBoostingSettings
    ) -> np.ndarray:
        """(n, F + M (bins + 1)) gene features, then per modality its bins and its mean."""
        starts = np.arange(0, inputs.window_bp, settings.bin_bp)
        widths = np.diff([*starts, inputs.window_bp])
        blocks = [inputs.features(rows).astype(np.float64)]
        for name in inputs.modalities:
            bins = np.empty((len(rows), len(starts) + 1))
            for first in range(0, len(rows), READ_GENES):
                part = slice(first, first + READ_GENES)
                sums = np.add.reduceat(
                    inputs.signal(name, rows[part]).astype(np.float64), starts, axis=1
                )
                bins[part, :-1] = sums / widths
                bins[part, -1] = sums.sum(axis=1) / inputs.window_bp
            blocks.append(bins)
        return np.concatenate(blocks, axis=1)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n, features) -> (n,) predictions, equal to scikit-learn's."""
        x = np.asarray(x, np.float64)
        genes = np.arange(len(x))
        total = np.full(len(x), self.baseline)
        for first, last in zip(self.offsets[:-1], self.offsets[1:], strict=True):
            tree = {name: values[first:last] for name, values in self.nodes.items()}
            node = np.zeros(len(x), np.int64)
            while not (leaf := tree["is_leaf"][node].astype(bool)).all():
                value = x[genes, tree["feature_idx"][node]]
                left = np.where(
                    np.isnan(value),
                    tree["missing_go_to_left"][node].astype(bool),
                    value <= tree["num_threshold"][node],
                )
                child = np.where(left, tree["left"][node], tree["right"][node])
                node = np.where(leaf, node, child)
            total += tree["value"][node]
        return total

    @property
    def n_parameters(self) -> int:
        """A threshold per split and a value per leaf."""
        return int(self.offsets[-1])

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything that prediction needs, as arrays by name."""
        nodes = {f"nodes.{name}": values for name, values in self.nodes.items()}
        return {**nodes, "offsets": self.offsets, "baseline": np.array([self.baseline])}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> GradientBoosting:
        """The model that :meth:`tensors` describes."""
        nodes = {name: tensors[f"nodes.{name}"] for name in _NODE_FIELDS}
        return cls(nodes, tensors["offsets"], float(tensors["baseline"][0]))


def tabular_settings(settings: Mapping[str, Any]) -> Any:
    """Hyper-parameters of resolved model settings, checked.

    Raises:
        InputError: an unknown key, or a value that is not a number above 0 (or at least 0).
    """
    model = class_of(settings)
    cls = model.Settings
    where = f"hyperparameters of {model.architecture}"
    fields = {f.name: f for f in dataclasses.fields(cls)}
    values = settings.get("hyperparameters", {})
    for key, value in values.items():
        if key not in fields:
            raise InputError(f"{where}: unknown key {key}; known are {', '.join(fields)}.")
        if isinstance(fields[key].default, str):
            if not isinstance(value, str):
                raise InputError(f"{where}: expected a word for {key}, found {value!r}.")
            continue
        whole = isinstance(fields[key].default, int)
        numeric = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        zero_allowed = key == "l2_regularization"
        if not numeric or value < 0 or (value == 0 and not zero_allowed):
            raise InputError(
                f"{where}: expected a {'whole ' if whole else ''}number "
                f"{'of at least' if zero_allowed else 'above'} 0 for {key}, found {value!r}."
            )
    return cls(**values)


def train_tabular(
    inputs: GeneInputs,
    rows: Mapping[str, np.ndarray],
    settings: Mapping[str, Any],
    seed: int,
    threads: int | None = None,
) -> tuple[Any, History]:
    """Train the tabular model that resolved settings ask for.

    Args:
        inputs: as the settings describe them.
        rows: store rows by role; train and valid are used.
        settings: resolved model settings.
        seed: of everything drawn at random.
        threads: of scikit-learn's compiled loops; None leaves them as they are.

    Returns:
        The model and its history: one row per penalty (ridge) or tree (boosting).
    """
    chosen = tabular_settings(settings)
    cls = class_of(settings)
    read = cls.inputs(inputs)
    data = [(cls.design(read, rows[r], chosen), inputs.labels(rows[r])) for r in ("train", "valid")]
    with threadpool_limits(threads):
        model, history = cls.train(*data, chosen, seed)
    best = history[best_step(history)]
    logger.info(
        "%s: best validation MSE %.6g at step %d of %d",
        settings["model"], best["valid_mse"], best["step"], len(history),
    )  # fmt: skip
    return model, history


def save_tabular(model: Any, path: str | Path) -> None:
    """Write a model's arrays as safetensors, atomically."""
    save_arrays(model.tensors(), path)


def load_tabular(cls: Any, path: str | Path) -> Any:
    """Read a model written by :func:`save_tabular`.

    Raises:
        InputError: no such file, not safetensors, or not the arrays of the class ``cls``.
    """
    arrays = load_arrays(path)
    try:
        return cls.from_tensors(arrays)
    except KeyError as error:
        raise InputError(
            f"{path}: expected the arrays of a {cls.architecture} model, {error} is missing."
        ) from None


def best_step(history: History) -> int:
    """Number of the row with the lowest validation MSE."""
    return int(np.argmin([row["valid_mse"] for row in history]))


def history_row(
    step: int,
    train_labels: np.ndarray,
    fitted: np.ndarray,
    valid_labels: np.ndarray,
    predicted: np.ndarray,
    learning_rate: float = float("nan"),
) -> dict[str, Any]:
    """A row of the history: losses on training genes, metrics on validation genes."""
    metrics = regression_metrics(valid_labels, predicted)
    return {
        "step": step,
        "epoch": step,
        "learning_rate": learning_rate,
        "train_loss": float(np.mean((fitted - train_labels) ** 2)),
        "valid_mse": metrics["mse"],
        "valid_pearson": metrics["pearson"],
    }
