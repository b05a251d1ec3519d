"""The image in which --sdm apptainer runs jobs: where it lies, and whose code it holds."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from prismflow.errors import InputError

IMAGE = "envs/image.sif"
CODE = "PRISMFLOW_CODE"
"""Variable by which a session tells its jobs the digest of its code."""
INSIDE = ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER")


def image_of(workflow: Any, rules: Any) -> str:
    """The image of the working directory, else that beside this repository's rules.

    Args:
        workflow: Snakemake's own.
        rules: the folder of the rules, or what Snakemake has in its place where it fetched the
            workflow from a host; the image then is the working directory's.

    Raises:
        InputError: jobs are to run in the image, and there is none.
    """
    image = Path(IMAGE)
    if not image.exists() and isinstance(rules, str | os.PathLike):
        image = Path(os.path.relpath(Path(rules).parent)) / IMAGE
    settings = getattr(workflow, "deployment_settings", None)
    methods = getattr(settings, "deployment_method", ())
    if any(getattr(method, "name", "") == "APPTAINER" for method in methods):
        if not image.exists():
            raise InputError(
                f"{image}: expected the image in which --sdm apptainer runs jobs, found none; "
                f"make it (apptainer build {IMAGE} envs/image.def, in the folder of the "
                "workflow) or leave the option out."
            )
        os.environ[CODE] = own_code()
    return str(image)


def own_code() -> str:
    """Digest of all of this package's Python files."""
    folder = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def check_image() -> None:
    """Refuse to work in an image of other code than the session's, whose digests would lie.

    Raises:
        InputError: the image holds another version of this package.
    """
    expected = os.environ.get(CODE)
    if expected and any(name in os.environ for name in INSIDE) and own_code() != expected:
        raise InputError(
            f"{IMAGE}: expected an image of the code of this workflow ({expected}), found one of "
            f"other code ({own_code()}); build it again (apptainer build --force {IMAGE} "
            "envs/image.def)."
        )
