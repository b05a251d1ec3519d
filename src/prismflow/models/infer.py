"""InFER, the workshop form of Prism (reference 61), as far as it is known: its abstract only.

The abstract makes the claims of the paper: the background confounds, and backdoor adjustment
removes that. No code, no sizes and no numbers are public. So this is Prism with the adjustment as
the paper's text writes it: the backdoor average is reported, and predictions are averaged. Every
other choice is Prism's and unknown for InFER.
"""

from __future__ import annotations

from dataclasses import dataclass

from prismflow.models.prism import Prism, PrismSettings


@dataclass(frozen=True)
class InFERSettings(PrismSettings):
    """Hyper-parameters of Prism.

    Attributes:
        intervention_average, reported: as the text writes the adjustment.
    """

    intervention_average: str = "prediction"
    reported: str = "backdoor"


class InFER(Prism):
    """Prism that reports the mean of the predictions over its contexts."""

    architecture = "infer"
    Settings = InFERSettings
