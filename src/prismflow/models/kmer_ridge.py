"""Ridge regression on k-mer counts of the window: the least that a sequence model has to pass."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from prismflow.data.inputs import READ_GENES, GeneInputs
from prismflow.errors import InputError
from prismflow.models.tabular import (
    GeneFeatures,
    GeneFeaturesSettings,
    History,
    NoLossWeights,
    best_step,
    history_row,
    load_tabular,
    save_tabular,
    tabular_settings,
    train_tabular,
)

# What jobs call of the module that a tabular model comes from.
__all__ = ["KmerRidge", "load_tabular", "save_tabular", "tabular_settings", "train_tabular"]

LONGEST_K = 8


@dataclass(frozen=True)
class KmerRidgeSettings(GeneFeaturesSettings):
    """Hyper-parameters of the ridge, and which words are counted.

    Attributes:
        k: length of the longest words; all lengths from 1 are counted.
    """

    k: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.k <= LONGEST_K:
            raise InputError(
                f"hyperparameters of kmer_ridge: expected a k of 1 to {LONGEST_K}, found {self.k}; "
                "there are 4 to the power of k words."
            )


@dataclass(frozen=True, eq=False)
class KmerRidge(GeneFeatures):
    """Ridge regression on gene features and the counts of k-mers on both strands, no signals.

    A word and its reverse complement are one column, so that a window and its reverse complement
    get one prediction. Counts enter as log(1 + x), standardised on the training genes; the penalty
    with the lowest validation MSE is kept. The seed has no effect, since nothing is drawn.
    """

    architecture = "kmer_ridge"
    tabular = True
    Settings = KmerRidgeSettings
    LossWeights = NoLossWeights
    TINY: ClassVar[dict[str, Any]] = {"n_alphas": 5, "k": 3}

    @classmethod
    def train(
        cls,
        train: tuple[np.ndarray, np.ndarray],
        valid: tuple[np.ndarray, np.ndarray],
        settings: GeneFeaturesSettings,
        seed: int,
    ) -> tuple[KmerRidge, History]:
        """Fit every penalty on ``train`` (features, labels); keep the best on ``valid``.

        As :meth:`GeneFeatures.fit` with one decomposition for all penalties, of the smaller of the
        two Gram matrices.
        """
        x, y = (np.asarray(part, np.float64) for part in train)
        mean, scale = x.mean(axis=0), x.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        z, centred = (x - mean) / scale, y - y.mean()
        alphas = np.geomspace(settings.largest_alpha, settings.smallest_alpha, settings.n_alphas)
        models = [
            cls(mean, scale, coefficients, float(y.mean()))
            for coefficients in _ridge(z, centred, alphas)
        ]
        history = [
            history_row(step, y, model.predict(x), valid[1], model.predict(valid[0]))
            for step, model in enumerate(models, start=1)
        ]
        return models[best_step(history)], history

    @staticmethod
    def design(inputs: GeneInputs, rows: np.ndarray, settings: GeneFeaturesSettings) -> np.ndarray:
        """(n, F + K) gene features, then log(1 + count) of each word of 1 .. k bases."""
        longest = getattr(settings, "k", KmerRidgeSettings.k)
        blocks = [
            np.log1p(count_kmers(inputs.codes(rows[first : first + READ_GENES]), longest))
            for first in range(0, len(rows), READ_GENES)
        ]
        return np.concatenate([inputs.features(rows), np.concatenate(blocks)], axis=1)


def count_kmers(codes: np.ndarray, k: int) -> np.ndarray:
    """Counts of words on both strands, a word and its reverse complement as one.

    Args:
        codes: (n, L) uint8, A 0, C 1, G 2, T 3; a word with any other code is not counted.
        k: longest word.

    Returns:
        (n, K) float64: words of 1, 2, ..., k bases, each length in alphabetical order of the
        first of the word and its reverse complement.
    """
    return np.concatenate([_count(codes, length) for length in range(1, k + 1)], axis=1)


def kmer_names(k: int) -> list[str]:
    """Words of the columns of :func:`count_kmers`."""
    names: list[str] = []
    for length in range(1, k + 1):
        words = ["".join(word) for word in itertools.product("ACGT", repeat=length)]
        names += [words[i] for i in np.unique(_canonical(length))]
    return names


def _canonical(length: int) -> np.ndarray:
    """(4^length,) number of each word -> the smaller of its own and its reverse complement's."""
    own = np.arange(4**length)
    rest, reverse = own.copy(), np.zeros_like(own)
    for _ in range(length):
        reverse = reverse * 4 + (3 - rest % 4)
        rest //= 4
    return np.minimum(own, reverse)


def _count(codes: np.ndarray, length: int) -> np.ndarray:
    canonical, columns = np.unique(_canonical(length), return_inverse=True)
    counts = np.zeros((len(codes), len(canonical)))
    n_words = codes.shape[1] - length + 1
    if n_words < 1:
        return counts
    for gene, row in enumerate(codes.astype(np.int64)):
        word, known = np.zeros(n_words, np.int64), np.ones(n_words, bool)
        for offset in range(length):
            base = row[offset : offset + n_words]
            word, known = word * 4 + base % 4, known & (base < 4)
        counts[gene] = np.bincount(columns[word[known]], minlength=len(canonical))
    return counts


def _ridge(z: np.ndarray, y: np.ndarray, alphas: np.ndarray) -> list[np.ndarray]:
    """Coefficients (F,) per penalty of the mean squared error + alpha x sum of squares."""
    n, n_features = z.shape
    wide = n_features > n
    values, vectors = np.linalg.eigh((z @ z.T if wide else z.T @ z) / n)
    turned = vectors.T @ (y if wide else z.T @ y) / n
    solved = [vectors @ (turned / (np.maximum(values, 0) + alpha)) for alpha in alphas]
    return [z.T @ part if wide else part for part in solved]
