"""How a trained model is tested: crops, removed inputs, outputs, other cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prismflow.errors import InputError

REMOVALS = ("zero", "mean", "permute")


OUTPUTS = ("direct", "backdoor", "backdoor_hidden", "backdoor_prediction")


@dataclass(frozen=True)
class Scenario:
    """How a trained model is tested; without any key, as it was trained.

    Attributes:
        name: as in the experiments.
        crop_bp: the network is fed this many central bases of its window.
        remove: modalities or gene features whose values are taken away.
        how: ``zero`` feeds 0 in their place; ``mean`` the mean over the training genes (of
            transformed signals: position by position); ``permute`` another test gene's values,
            the same other gene for everything removed.
        output: one of :data:`OUTPUTS` of a model that has several: the direct prediction, the
            backdoor prediction as trained, or with hidden states or predictions averaged; None is
            the reported one.
        cell: the test genes of this other cell are predicted; None means the model's own.
    """

    name: str
    crop_bp: int | None = None
    remove: tuple[str, ...] = ()
    how: str = "zero"
    output: str | None = None
    cell: str | None = None

    @classmethod
    def parse(cls, name: str, values: Mapping[str, Any]) -> Scenario:
        """Check a scenario's keys and values.

        Raises:
            InputError: an unknown key or value.
        """
        known = [f.name for f in dataclasses.fields(cls) if f.name != "name"]
        unknown = [key for key in values if key not in known]
        if unknown:
            raise InputError(
                f"scenario {name!r}: unknown key {', '.join(unknown)}; known are "
                f"{', '.join(known)}."
            )
        remove = values.get("remove", ())
        if isinstance(remove, str):
            raise InputError(f"scenario {name!r}: expected a list of names in remove, found text.")
        scenario = cls(**{**values, "name": name, "remove": tuple(remove)})
        if scenario.how not in REMOVALS:
            raise InputError(
                f"scenario {name!r}: expected how to be one of {', '.join(REMOVALS)}, found "
                f"{scenario.how!r}."
            )
        if scenario.output not in (None, *OUTPUTS):
            raise InputError(
                f"scenario {name!r}: expected output to be one of {', '.join(OUTPUTS)}, found "
                f"{scenario.output!r}."
            )
        crop = scenario.crop_bp
        if crop is not None and (not isinstance(crop, int) or crop < 2 or crop % 2):
            raise InputError(
                f"scenario {name!r}: expected crop_bp to be a positive even number, found {crop!r}."
            )
        return scenario

    @property
    def inputs_key(self) -> tuple[Any, ...]:
        """Scenarios with equal keys feed the model the same inputs."""
        return (self.cell, self.crop_bp, self.remove, self.how if self.remove else None)
