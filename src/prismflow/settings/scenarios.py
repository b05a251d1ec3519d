"""How a trained model is tested: crops, removed inputs, outputs, other cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic.dataclasses import dataclass

from prismflow.settings.keys import EVEN, STRICT, UNIQUE, setting


@dataclass(frozen=True, config=STRICT)
class ScenarioKeys:
    """What a scenario of the experiments file may say; without any key, as it was trained.

    Attributes:
        crop_bp: the network is fed this many central bases of its window.
        remove: modalities or gene features whose values are taken away.
        how: ``zero`` feeds 0 in their place; ``mean`` the mean over the training genes (of
            transformed signals: position by position); ``permute`` another test gene's values, the
            same other gene for everything removed.
        output: output of a model that has several: the direct prediction, the backdoor prediction
            as trained, or with hidden states or predictions averaged, the prediction adapted to
            the genes that are predicted together; without it the reported one.
        cell: another cell of the dataset whose test genes are predicted.
        strand: ``other`` feeds a network the reverse complement of the sequence and the signals
            reversed; tables of features have no such view.
    """

    SPARSE: ClassVar[bool] = True

    crop_bp: int | None = setting(None, strict=True, **EVEN)
    remove: Annotated[tuple[str, ...], UNIQUE] = setting(())
    how: Literal["zero", "mean", "permute"] = setting("zero")
    output: (
        Literal["direct", "backdoor", "backdoor_hidden", "backdoor_prediction", "adapted"] | None
    ) = setting(None)
    cell: str | None = setting(None)
    strand: Literal["other"] | None = setting(None)


@dataclass(frozen=True, config=STRICT)
class Scenario(ScenarioKeys):
    """A scenario and its name in the experiments file.

    Attributes:
        name: as in the experiments file.
    """

    name: str = setting("")

    @classmethod
    def parse(cls, name: str, values: Mapping[str, Any]) -> Scenario:
        """Check a scenario's keys and values.

        Raises:
            InputError: an unknown key or value.
        """
        from prismflow.settings.definitions import build

        return Scenario(name=name, **vars(build(ScenarioKeys, values, f"scenario {name!r}")))

    @property
    def inputs_key(self) -> tuple[Any, ...]:
        """Scenarios with equal keys feed the model the same inputs."""
        how = self.how if self.remove else None
        return (self.cell, self.crop_bp, self.remove, how, self.strand)
