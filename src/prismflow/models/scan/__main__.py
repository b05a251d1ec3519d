"""``python -m prismflow.models.scan``: compile the CPU kernels, so that no first training waits.

Numba keeps them beside the source; later processes load them in half a second instead of ten.
"""

from __future__ import annotations

import torch

from prismflow.models.bimamba import BiMambaBackbone
from prismflow.models.scan import ENVIRONMENT_VARIABLE, choose_backend


def main() -> None:
    """One forward and backward pass of a tiny backbone in single precision."""
    backend = choose_backend(torch.device("cpu"), torch.float32)
    if backend != "numba":
        print(f"nothing to compile: the scan's backend is {backend} ({ENVIRONMENT_VARIABLE})")
        return
    BiMambaBackbone(16, n_layers=1)(torch.randn(1, 32, 16)).sum().backward()


if __name__ == "__main__":
    main()
