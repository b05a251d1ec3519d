"""Trees of a fitted scikit-learn booster, which it keeps in private places."""

from __future__ import annotations

from typing import Any

import numpy as np

from prismflow.errors import InputError
from prismflow.jobs.patches import Patch

PATCHES = (
    Patch(
        package="scikit-learn",
        versions="1.9",
        place="sklearn.ensemble:HistGradientBoostingRegressor._predictors",
        link="https://github.com/scikit-learn/scikit-learn/blob/main/sklearn/ensemble/"
        "_hist_gradient_boosting/gradient_boosting.py",
        why="a model is kept as arrays, not as a pickle of one version of scikit-learn",
        fallback="the job of that model ends in a sentence that names the version to install; "
        "no start, and no other job, needs the place",
    ),
)


def trees_of(estimator: Any, n_trees: int) -> tuple[list[np.ndarray], float]:
    """Nodes of the first ``n_trees`` trees, and the prediction before the first.

    Args:
        estimator: a fitted ``HistGradientBoostingRegressor`` for one value per row.

    Raises:
        InputError: this scikit-learn keeps them elsewhere.
    """
    try:
        trees = [stage[0].nodes for stage in estimator._predictors[:n_trees]]
        return trees, float(np.ravel(estimator._baseline_prediction)[0])
    except AttributeError as error:
        import sklearn

        raise InputError(
            f"gradient boosting: expected scikit-learn {PATCHES[0].versions}, found "
            f"{sklearn.__version__}, which keeps its trees elsewhere ({error}); install the "
            "locked one (envs/requirements.lock)."
        ) from None
