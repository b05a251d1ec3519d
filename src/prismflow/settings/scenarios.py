"""How a trained model is tested: crops, removed inputs, outputs, other cells."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
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
        beyond_bp: input further than this from the TSS is replaced.
        where: replace ``all`` bases there, or those of candidate ``elements`` whose centre is.
        inputs: replace the ``sequence``, the ``signals``, or ``both``.
        replace: by ``blank`` (unknown bases, no signal), by a ``shuffle`` of what is replaced
            within the gene, or ``exchange`` it with another test gene.
        average: mean of the predictions at offsets of -43, 0 and +43 bp on both strands.
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
    beyond_bp: int | None = setting(None, strict=True, ge=1)
    where: Literal["all", "elements"] = setting("all")
    inputs: Literal["both", "sequence", "signals"] = setting("both")
    replace: Literal["blank", "shuffle", "exchange"] = setting("blank")
    average: bool = setting(False)


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
        beyond = (self.beyond_bp, self.where, self.inputs, self.replace)
        return (
            self.cell, self.crop_bp, self.remove, self.how if self.remove else None,
            self.strand, beyond if self.beyond_bp is not None else None, self.average,
        )  # fmt: skip


BEYOND = (("where", ("all", "elements")), ("inputs", ("both", "sequence", "signals")),
          ("replace", ("blank", "shuffle", "exchange")))  # fmt: skip


def scenarios_beyond(distances_bp: Sequence[int], elements: bool) -> dict[str, dict[str, Any]]:
    """Scenarios that replace input beyond some distances, in every way, and the average.

    Args:
        distances_bp: from the TSS.
        elements: whether the dataset has candidate elements.
    """
    found: dict[str, dict[str, Any]] = {}
    for distance in distances_bp:
        for where, inputs, replace in itertools.product(*(values for _, values in BEYOND)):
            if where == "all" or elements:
                name = f"beyond_{distance}bp_{where}_{inputs}_{replace}"
                found[name] = {
                    "beyond_bp": distance, "where": where, "inputs": inputs, "replace": replace,
                }  # fmt: skip
    return found | ({"averaged": {"average": True}} if found else {})
