"""Write the schemas and the reference page: ``python -m prismflow.settings`` in the repository."""

from __future__ import annotations

from pathlib import Path

from prismflow.settings.reference import write

if __name__ == "__main__":
    changed = write(Path.cwd())
    print("\n".join(f"wrote {name}" for name in changed) or "nothing to write")
