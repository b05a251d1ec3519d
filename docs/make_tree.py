"""Write the tree of docs/architecture.md from the first docstring line of each room and module.

``--check`` writes nothing and fails if the page is out of date.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
COMMAND = "python docs/make_tree.py"
START = "<!-- the tree: written by docs/make_tree.py -->\n"
END = "<!-- the end of the tree -->\n"
ROOMS = (
    "jobs", "settings", "plan", "statistics", "portals", "data",
    "simulate", "models", "training", "evaluation", "predict", "explain", "figures", "released",
)  # fmt: skip


def first_line(path: Path) -> str:
    """First line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]


def tree(source: Path) -> str:
    """Markdown: the shared modules, then each room with its modules, in the order of imports."""
    shared = sorted(path for path in source.glob("*.py") if path.name != "__init__.py")
    lines = ["| module | what it holds |", "|---|---|"]
    lines += [f"| `{path.stem}` | {first_line(path)} |" for path in shared]
    for room in ROOMS:
        folder = source / room
        lines += ["", f"**`{room}/`** {first_line(folder / '__init__.py')}", ""]
        lines += ["| module | what it holds |", "|---|---|"]
        for path in sorted(folder.rglob("*.py")):
            if path.name == "__main__.py" or path == folder / "__init__.py":
                continue
            name = path.relative_to(folder).with_suffix("").as_posix()
            lines.append(f"| `{name.removesuffix('__init__')}` | {first_line(path)} |")
    return "\n".join(lines).replace("``", "`") + "\n"


def with_tree(page: str, text: str) -> str:
    """The page with ``text`` between its two marks."""
    between = re.compile(re.escape(START) + ".*" + re.escape(END), re.DOTALL)
    return between.sub(lambda _: f"{START}\n{text}\n{END}", page)


if __name__ == "__main__":
    old = PAGE.read_text(encoding="utf-8")
    new = with_tree(old, tree(ROOT / "src" / "prismflow"))
    if "--check" in sys.argv[1:]:
        sys.exit(f"{PAGE.name} is out of date: run `{COMMAND}`" if new != old else 0)
    PAGE.write_text(new, encoding="utf-8")
