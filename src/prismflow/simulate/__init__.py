"""A simulated genome: the files that a download stage would bring, without a network.

The data come from a structural causal model; its graph, equations and parameters are written in
``docs/simulation.md``. Importing this package is cheap (no numeric library): the workflow asks it
for file names while it plans.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prismflow.settings.simulation import SimulationSettings, simulated_files

__all__ = ["SimulationSettings", "simulate", "simulated_files"]


def simulate(out_dir: str | Path, settings: dict[str, Any] | None, seed: int) -> None:
    """Write one simulated data set into ``out_dir``.

    Args:
        out_dir: folder, made if absent; files of the same names are replaced.
        settings: keys of :class:`SimulationSettings` that differ from the defaults.
        seed: any integer >= 0. Equal settings and seed give equal bytes in every file.

    Raises:
        InputError: a setting is unknown, of the wrong type or out of range.
    """
    chosen = SimulationSettings.from_dict(settings)
    from prismflow.simulate.files import write_files

    write_files(Path(out_dir), chosen, seed)
