"""One part of gpu.py, as a process of its own: ``python -m gpu_parts NAME RESULTS``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import torch


def main() -> None:
    """Run the part that is named."""
    import gpu_checks
    import gpu_costs
    import gpu_speed
    import gpu_tools

    name, results = sys.argv[1:3]
    gpu_tools.RESULTS.append(Path(results))
    logging.basicConfig(level=logging.INFO, format="   %(message)s", stream=sys.stdout)
    if gpu_tools.DEVICE.type == "cuda" and not torch.cuda.is_available():
        gpu_tools.stop_not_run("no CUDA device was found")
    torch.set_float32_matmul_precision("high")
    for module in (gpu_checks, gpu_speed, gpu_costs):
        if hasattr(module, f"part_{name}"):
            getattr(module, f"part_{name}")()
            return
    raise SystemExit(f"there is no part {name}")


if __name__ == "__main__":
    main()
