"""Peaks that the workflow calls from a bigWig, as a user may ask for them."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from prismflow.errors import InputError
from prismflow.settings import yaml_files
from prismflow.settings.keys import Keys, Number, key
from prismflow.settings.sheets import check_name


class CalledPeaks(Keys):
    """Peaks of a cell that has a bigWig and no file of peaks."""

    track: str = key("bigWig of values of at least 0, by its path.")
    top_share: Number | None = key(
        "Share of the blocks that are peaks, those of the largest areas; null with a control.",
        None,
        gt=0,
        le=1,
    )
    control: str | None = key("bigWig of a control, from which the share follows.", None)
    floor: Number = key("A block is a run of bases above this value.", 0.0, ge=0)


def called_path(name: str) -> str:
    """Where called peaks are put; the sheet of tracks names this file."""
    return f"resources/called_peaks/{name}.narrowPeak"


def check_called_peaks(
    values: Mapping[str, Any], made: Collection[str], files: Sequence[str]
) -> None:
    """Check names, what decides the share, and files.

    Args:
        values: the validated configuration.
        made: paths that the workflow makes.
        files: YAML files, for messages.

    Raises:
        InputError: neither or both of `top_share` and `control`, or an absent file.
    """
    for name, entry in values["called_peaks"].items():
        place = ("called_peaks", name)
        check_name(name, "file of called peaks", yaml_files.where(files, place))
        if (entry["top_share"] is None) == (entry["control"] is None):
            raise InputError(
                f"{yaml_files.where(files, place)}: expected one of `top_share` and `control`, "
                f"found {'neither' if entry['control'] is None else 'both'}; give the share of "
                "blocks that are peaks, or a control."
            )
        for of in ("track", "control"):
            path = entry[of]
            if path and path not in made and not os.path.exists(path):
                raise InputError(
                    f"{yaml_files.where(files, (*place, of))}: expected a bigWig at {path}, found "
                    f"none (looked in {os.getcwd()}); correct the path or put the file there."
                )
