"""Count source lines, files and string-keyed look-ups: ``python docs/count.py [FOLDER ...]``.

A look-up is ``x["key"]`` or ``x.get("key")``, per 100 lines of Python; lines include blank ones and
docstrings. The default folder is this checkout's; give the one of another checkout to compare.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path


def _is_lookup(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        key: ast.AST | None = node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        key = node.args[0] if node.func.attr == "get" and node.args else None
    else:
        return False
    return isinstance(key, ast.Constant) and isinstance(key.value, str)


def counted(folder: Path) -> tuple[int, int, int]:
    """Files, lines and string-keyed look-ups of the Python files in a folder."""
    files = sorted(folder.rglob("*.py"))
    lines = lookups = 0
    for path in files:
        text = path.read_text(encoding="utf-8")
        lines += len(text.splitlines())
        lookups += sum(map(_is_lookup, ast.walk(ast.parse(text))))
    return len(files), lines, lookups


if __name__ == "__main__":
    here = Path(__file__).resolve().parents[1] / "src" / "prismflow"
    for folder in [Path(name) for name in sys.argv[1:]] or [here]:
        files, lines, lookups = counted(folder)
        rate = 100 * lookups / lines
        print(f"{folder}: {files} files, {lines} lines, {lookups} look-ups, {rate:.1f} per 100")
