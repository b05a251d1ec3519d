"""Write envs/*.lock and envs/prismflow.yaml from pyproject.toml (needs uv).

torch itself stays out of the lock: its builds carry local tags and differ by platform. What torch
needs at run time is locked with everything else.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH = "torch==2.13.0"
TORCH_NEEDS = [
    "filelock",
    "fsspec",
    "jinja2",
    "networkx",
    "setuptools>=77",
    "sympy",
    "typing-extensions",
]
TRITON = "triton==3.9.0 ; sys_platform == 'linux'"
TRITON_HEADER = """# For tests of the CUDA kernels in Triton's interpreter; by envs/make_lock.py.
# On machines with a CUDA device torch brings its own Triton.
"""
DEV_HEADER = """# Tools of `make lint` for Python 3.11 to 3.13, by envs/make_lock.py; what the
# product needs too has the versions of requirements.lock.
"""
DOCS_HEADER = """# What `make site` needs for Python 3.11 to 3.13, by envs/make_lock.py; what the
# product needs too has the versions of requirements.lock.
"""
HEADER = """# Locked with hashes for Python 3.11 to 3.13 by envs/make_lock.py; edit pyproject.toml
# and run it again (`make lock`). torch is installed first and apart: see envs/setup.sh.
"""


def resolve(wanted: list[str], within: Path | None = None) -> str:
    """Pins with hashes for some requirements and what they need, agreeing with another lock."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "requirements.in"
        source.write_text("\n".join(wanted) + "\n")
        # captum needs torch, which is installed apart: here no system asks for it or its needs.
        without = Path(folder) / "overrides.txt"
        without.write_text("torch ; sys_platform == 'none'\n")
        command = ["uv", "pip", "compile", str(source), "--universal", "--python-version", "3.11"]
        command += ["--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
        command += ["--override", str(without), "--no-emit-package", "torch"]
        command += ["--constraint", str(within)] if within else []
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def lock() -> str:
    """Resolve all dependencies but torch and return the lock's text."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [d for d in project["dependencies"] if not d.startswith("torch")]
    wanted += project["optional-dependencies"]["test"] + TORCH_NEEDS
    return HEADER + resolve(wanted)


def dev_lock() -> str:
    """The development tools, pinned beside the lock that is already written."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["optional-dependencies"]["dev"]
    return DEV_HEADER + resolve(wanted, within=ROOT / "envs" / "requirements.lock")


def docs_lock() -> str:
    """What builds the documentation site, pinned beside the lock that is already written."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["optional-dependencies"]["docs"]
    return DOCS_HEADER + resolve(wanted, within=ROOT / "envs" / "requirements.lock")


def conda_environment(lock_text: str) -> str:
    """The conda environment of the rules: the lock's pins of the direct dependencies."""
    pinned = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", lock_text, flags=re.MULTILINE)
    pins = dict(reversed(pinned))  # where Python versions differ, the oldest Python's pin is first
    pins = {name.lower(): version for name, version in pins.items()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[<>=!~ ]", d)[0].lower() for d in project["dependencies"]]
    lines = [f"      - {n}=={pins[n]}" for n in names if n != "torch"]
    return "\n".join(
        [
            "# Written by envs/make_lock.py: the same pins as envs/requirements.lock.",
            "# prismflow.post-deploy.sh then installs this package into the environment.",
            "channels:",
            "  - conda-forge",
            "  - bioconda",
            "  - nodefaults",
            "dependencies:",
            "  - python=3.11",
            "  - bedtools=2.31",
            "  - pip",
            "  - setuptools",
            "  - pip:",
            f"      - {TORCH}",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    text = lock()
    (ROOT / "envs" / "requirements.lock").write_text(text)
    (ROOT / "envs" / "dev.lock").write_text(dev_lock())
    (ROOT / "envs" / "docs.lock").write_text(docs_lock())
    triton = resolve([TRITON])
    (ROOT / "envs" / "triton.lock").write_text(TRITON_HEADER + triton)
    (ROOT / "envs" / "prismflow.yaml").write_text(conda_environment(text))
