"""Read config/claims.yaml; light, because planning asks which experiments the claims need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prismflow.errors import InputError
from prismflow.settings import yaml_files

_NEEDED = {
    "contrast": ("experiments", "terms", "holds"),
    "lengths": ("experiments", "like", "holds"),
    "best": ("experiments", "model", "against", "holds"),
    "parameters": ("model", "reference", "expected", "within"),
}


def read_claims(path: str | Path, schemas: str | Path) -> dict[str, Any]:
    """The claims file, checked.

    Args:
        path: the file.
        schemas: folder of the schemas.

    Raises:
        InputError: with file and line, what is wrong.
    """
    content = yaml_files.validate(
        yaml_files.read_yaml(path), Path(schemas) / "claims.schema.yaml", [Path(path)]
    )
    for place_in_file, (name, claim) in enumerate(content["claims"].items()):
        claim["position"] = place_in_file
        for position, test in enumerate(claim["tests"]):
            test.setdefault("kind", "contrast")
            missing = [
                key for key in _NEEDED[test["kind"]] if not test.get(key) and test.get(key) != 0
            ]
            if missing:
                place = yaml_files.where([Path(path)], ("claims", name, "tests", position))
                raise InputError(
                    f"{place}: a test of kind {test['kind']} needs the keys "
                    f"{', '.join(_NEEDED[test['kind']])}, found no {', '.join(missing)}; add it."
                )
    return content


def tests_of(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(id of the claim, claim, test) of every test in the order of the file."""
    # By position, because sorted JSON on the way to a job keeps no order of keys.
    for name, claim in sorted(content["claims"].items(), key=lambda item: item[1]["position"]):
        for test in claim["tests"]:
            yield name, claim, test


def experiments_of(content: dict[str, Any]) -> list[str]:
    """Experiments whose runs some test needs."""
    return list(
        dict.fromkeys(e for _, _, test in tests_of(content) for e in test.get("experiments", []))
    )


def counted_models(content: dict[str, Any]) -> list[str]:
    """Architectures whose parameters some test counts, sorted."""
    return sorted(
        {
            test[key]
            for _, _, test in tests_of(content)
            if test["kind"] == "parameters"
            for key in ("model", "reference")
        }
    )
