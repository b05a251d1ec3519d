r"""Taking a regional background out of a signal, and reading its tie to the cause (numpy only).

A is the activity of a promoter (never seen), C the background state of its region, z a measure of C
from the region alone, H a signal that A raises and C doesn't touch (the *anchor*), D a signal that
both raise, Y the label. In logarithms, and up to noise that is independent between the equations:

.. math::
    H = a_0 + a A + e_H, \quad D = b_0 + b A + \gamma z + e_D, \quad Y = y_0 + \lambda A + e_Y

C reaches Y only through its tie to A, P(A | C), and that tie may be another one elsewhere. So C is
removed from D here (:func:`fit_removal`), and where it is used again it is used with the tie that
the genes at hand show (:func:`adapt`). Both are measured in docs/confounding.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prismflow.errors import InputError

REMOVALS = ("two_stage", "residual", "unit", "none")
LEAST_GENES = 100
"""Fewer genes than this don't show a tie; their predictions stay as they are."""
_LEAST_TIE = 0.1


@dataclass(frozen=True)
class Tie:
    """What :func:`adapt` must know of a trained model; learned from genes with labels.

    Attributes:
        slope: of the label on the score; 1 for a calibrated score.
        reliability: covariance of score and z over that of label and z: the share of A's
            deviation that the score shows. 1 takes z for of no use.
    """

    slope: float = 1.0
    reliability: float = 1.0


def fit_removal(
    anchor: np.ndarray, background: np.ndarray, z: np.ndarray, label: np.ndarray, how: str
) -> float:
    r"""The power :math:`\gamma` of the regional level by which a signal is divided.

    ``two_stage``: with H for A the regression of D on (H, z) is attenuated, since H has noise, and
    z takes over a part of A's effect wherever C and A are tied. Y is another measure of A whose
    noise has nothing to do with that of H, so it serves as instrument: the first stage predicts H
    from (Y, z), the second regresses D on that prediction and z. Its coefficient of z is
    consistent whatever the tie, while A is seen in Y.

    ``residual`` is the plain regression of D on z, which takes A's share along where C and A are
    tied; ``unit`` is 1, a peak caller's division by the local level; ``none`` is 0.

    Args:
        anchor: (n,) log of the anchor's mean in the window.
        background: (n,) log of the mean of the signal to be cleaned.
        z: (n,) its regional level, a logarithm.
        label: (n,).
        how: of :data:`REMOVALS`.
    """
    if how in ("unit", "none"):
        return float(how == "unit")
    one = np.ones_like(z)
    if how == "residual":
        return float(np.linalg.lstsq(np.column_stack([one, z]), background, rcond=None)[0][1])
    instruments = np.column_stack([one, z, label])
    first = np.linalg.lstsq(instruments, anchor, rcond=None)[0]
    stage = np.column_stack([one, z, instruments @ first])
    return float(np.linalg.lstsq(stage, background, rcond=None)[0][1])


def fit_tie(score: np.ndarray, z: np.ndarray, label: np.ndarray) -> Tie:
    """The tie's two numbers from genes that the score was not fitted on.

    The score s is a regression of Y on signals that are independent of C given A. Along z it
    therefore moves as E[A given s] does, by the share ``reliability`` of what Y moves. Where Y
    hardly moves along z (correlation below 0.1) the share can't be seen, and 1 is returned.
    """
    slope = _covariance(score, label) / max(float(np.var(score)), 1e-12)
    scale = float(np.std(label) * np.std(z))
    moved = _covariance(label, z)
    if scale == 0 or abs(moved) < _LEAST_TIE * scale:
        return Tie(slope, 1.0)
    return Tie(slope, float(np.clip(_covariance(score, z) / moved, 0.2, 1.0)))


def adapt(score: np.ndarray, z: np.ndarray, tie: Tie) -> np.ndarray:
    r"""Predictions that use z by the tie among these genes, for which no label is needed.

    The linear regression of Y on (s, z) needs Cov(Y, s) and Cov(Y, z). The first is slope x Var(s),
    whatever the tie; the second is Cov(s, z) / reliability, with Cov(s, z) of the genes at hand. So

    .. math::
        \begin{pmatrix} V_s & V_{sz} \\ V_{sz} & V_z \end{pmatrix}
        \begin{pmatrix} p \\ q \end{pmatrix} =
        \begin{pmatrix} \text{slope}\; V_s \\ V_{sz} / \text{reliability} \end{pmatrix}

    With reliability 1 and slope 1 that is (1, 0): the score itself.

    Args:
        score: (n,) predictions without z.
        z: (n,) regional levels.
        tie: of the trained model.

    Returns:
        (n,) predictions; fewer than :data:`LEAST_GENES` genes, or a constant z, give the score.
    """
    variances = np.cov(score, z) if len(score) >= LEAST_GENES else np.zeros((2, 2))
    if variances[1, 1] <= 0 or np.linalg.det(variances) <= 1e-9 * variances[0, 0] * variances[1, 1]:
        return np.array(score, dtype=np.float64)
    wanted = np.array([tie.slope * variances[0, 0], variances[0, 1] / tie.reliability])
    p, q = np.linalg.solve(variances, wanted)
    return score.mean() + p * (score - score.mean()) + q * (z - z.mean())


def check_removal(how: str) -> None:
    """Refuse what :func:`fit_removal` doesn't know.

    Raises:
        InputError: names the known ones.
    """
    if how not in REMOVALS:
        raise InputError(f"removal must be one of {', '.join(REMOVALS)}, found {how!r}.")


def _covariance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.mean((a - a.mean()) * (b - b.mean())))
