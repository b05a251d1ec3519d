"""Print what CHANGELOG.md says of a version, for the release of its tag.

    python envs/release_notes.py v0.1.0

Refuses a tag that is not the package's version, or whose section is missing, empty or unreleased.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def notes(tag: str, changelog: str, version: str) -> str:
    """The section of a tag ``v1.2.3``.

    Raises:
        SystemExit: the tag doesn't name the package's version, or the changelog doesn't have it.
    """
    wanted = tag.removeprefix("v")
    if wanted != version:
        raise SystemExit(
            f"pyproject.toml: expected the version of the tag {tag}, found {version}; "
            "set both to the same version."
        )
    head = rf"^## \[{re.escape(wanted)}\] - (?P<date>.*)\n(?P<text>(?:(?!^## ).*\n?)*)"
    found = re.search(head, changelog, flags=re.MULTILINE)
    if found is None or not found["text"].strip():
        raise SystemExit(
            f"CHANGELOG.md: expected a section '## [{wanted}] - DATE' with text, found none; "
            "write it before the tag."
        )
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", found["date"].strip()):
        raise SystemExit(
            f"CHANGELOG.md: expected the date of {wanted} as YYYY-MM-DD, found "
            f"{found['date'].strip()!r}; write the day of the release."
        )
    return found["text"].strip() + "\n"


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    changes = (ROOT / "CHANGELOG.md").read_text()
    sys.stdout.write(notes(sys.argv[1], changes, project["version"]))
