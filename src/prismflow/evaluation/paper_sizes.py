"""Parameters of architectures at the paper's sizes, counted from the code."""

from __future__ import annotations

from collections.abc import Mapping


def count_parameters(
    classes: Mapping[str, str], n_signals: int = 3, n_gene_features: int = 9
) -> dict[str, int]:
    """Parameters of architectures at their own default sizes, which are the paper's.

    Args:
        classes: ``module:Class`` of each architecture by its name.
        n_signals, n_gene_features: of the inputs.
    """
    from prismflow.models import build
    from prismflow.models.common import InputSpec

    inputs = InputSpec(tuple(f"signal{i}" for i in range(n_signals)), n_gene_features, 2000)
    return {
        name: sum(tensor.numel() for tensor in build(cls, {}, {}, inputs).parameters())
        for name, cls in classes.items()
    }
