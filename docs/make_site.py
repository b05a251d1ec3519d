"""Build the documentation site into build/site, refusing broken links.

    python docs/make_site.py

Pages stay where GitHub shows them; here they are gathered with the files that they link, and pages
of the package's public functions are written beside them. Needs envs/docs.lock (`make site`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "build" / "pages"
LINKED = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CITATION.cff", "LICENSE",
          "Makefile", "config", "docs", "envs", "slurm", "profiles", "tests/real_chr22",
          "tests/workflow/small.yaml")  # fmt: skip
ROOMS = ("data", "evaluation", "figures", "jobs", "models", "plan", "portals", "released",
         "settings", "simulate", "statistics", "training")  # fmt: skip


def gather() -> None:
    """Copy the pages and what they link."""
    shutil.rmtree(PAGES, ignore_errors=True)
    for name in LINKED:
        source, target = ROOT / name, PAGES / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
        elif source.exists():
            shutil.copy(source, target)


def write_references() -> None:
    """A page per room with the public functions and classes of its modules."""
    folder = PAGES / "api"
    folder.mkdir()
    for room in ROOMS:
        files = sorted((ROOT / "src" / "prismflow" / room).glob("*.py"))
        names = [f"prismflow.{room}.{file.stem}" for file in files if file.stem[0] != "_"]
        blocks = "\n\n".join(f"::: {name}" for name in names)
        (folder / f"{room}.md").write_text(f"# prismflow.{room}\n\n{blocks}\n")


def write_notebooks() -> None:
    """A page for each notebook: its text and its code."""
    for file in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        parts = []
        for cell in json.loads(file.read_text())["cells"]:
            text = "".join(cell["source"])
            parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        parts.append(f"[The notebook itself]({file.name})")
        page = PAGES / "docs" / "notebooks" / f"{file.stem}.md"
        page.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    gather()
    write_references()
    write_notebooks()
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    sys.exit(subprocess.run([*command, "--config-file", str(ROOT / "mkdocs.yml")]).returncode)
