"""Read config/claims.yaml; light, because planning asks which experiments the claims need."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from prismflow.errors import InputError
from prismflow.settings import yaml_files
from prismflow.settings.keys import Keys, Number, Whole, key

_NEEDED = {
    "contrast": ("experiments", "terms", "holds"),
    "lengths": ("experiments", "like", "holds"),
    "best": ("experiments", "model", "against", "holds"),
    "scenario": ("experiments", "scenario", "holds"),
    "parameters": ("model", "reference", "expected", "within"),
    "worlds": ("experiments", "terms", "training", "test", "holds"),
}


def _one_side(value: Any) -> Any:
    if isinstance(value, dict) and len(value) != 1:
        raise PydanticCustomError("one_side", "one of above and below")
    return value


_SomeTexts = Annotated[list[str], Field(min_length=1)]


class Term(Keys):
    """One term of a contrast."""

    weight: Number = key("Factor of its MSE.")
    models: _SomeTexts = key(
        "Alternatives, as many in every term; the first place at which all terms were run counts."
    )
    scenario: str = key("How the model is tested.", "full")
    output: str = key(
        "Which of its predictions counts in simulated worlds (`direct` where none is named).",
        None,
        sparse=True,
    )


class Bound(Keys):
    """Side of the bound, and the bound in margins; one of the two keys."""

    above: Number = key("Holds if the whole interval lies above.", None, sparse=True)
    below: Number = key("Holds if the whole interval lies below.", None, sparse=True)


class Matched(Keys):
    """The same test on models that were trained under one protocol."""

    experiments: _SomeTexts = key("Experiments of the matched arm; used where all are run.")
    against: _SomeTexts = key("Models of that arm that the model is compared with.")


class Test(Keys):
    """What decides a claim."""

    kind: Literal["contrast", "lengths", "best", "scenario", "parameters", "worlds"] = key(
        "`contrast` (weighted sum of MSE), `lengths` (every longer window minus the short one, "
        "of every varied model), `best` (a model against all others), `scenario` (every model of "
        "the first experiment, tested so, minus itself as trained), `parameters` (counted at the "
        "paper's sizes), `worlds` (weighted sum of MSE in simulated worlds of known confounding, "
        "which are the samples).",
        "contrast",
    )
    label: str = key("What is measured.")
    experiments: list[str] = key(
        "Experiments whose runs it needs; the first one's figure stands beside it.", []
    )
    terms: Annotated[list[Term], Field(min_length=2)] = key("The contrast.", None, sparse=True)
    like: str = key("The model whose window is the short one.", None, sparse=True)
    model: str = key("The model that is compared.", None, sparse=True)
    against: _SomeTexts = key("Models that it is compared with.", None, sparse=True)
    matched: Matched = key(
        "What takes the place of `experiments` and `against` where the matched arm is run.",
        None,
        sparse=True,
    )
    scenario: str = key("How every model is tested.", None, sparse=True)
    reference: str = key("Model whose parameters are the measure.", None, sparse=True)
    expected: Number = key("Published number of parameters.", None, sparse=True)
    within: Number = key("Rounding of the published number.", None, sparse=True, ge=0)
    training: Number = key("Confounding of the worlds' training genes.", None, sparse=True)
    test: Number = key("Confounding of the worlds' test genes.", None, sparse=True)
    first_world: Whole = key(
        "Worlds (replicates) before this one served a choice and don't count.",
        None,
        sparse=True,
        ge=0,
    )
    holds: Annotated[
        Bound,
        BeforeValidator(_one_side),
    ] = key("Side of the bound.", None, sparse=True)


class Claim(Keys):
    """One sentence of the paper."""

    claim: str = key("The claim in one short sentence.")
    paper: str = key("Where the paper makes it.")
    published: str = key("What the paper reports.")
    source: str = key("Where the published figure was taken from.")
    require: Literal["all", "any"] = key(
        "Whether `all` of its tests must hold, or in every cell `any` of them."
    )
    tests: Annotated[list[Test], Field(min_length=1)] = key("What decides it.")


class Planning(Keys):
    """What is assumed of the noise before anything is trained, for `snakemake plan`."""

    seed_sd: Number = key("Standard deviation over seeds, as a share of the MSE.", 0.021, ge=0)
    gene_sd: Number = key(
        "Standard deviation of a gene's difference between two models, as a share of the MSE.",
        0.75,
        gt=0,
    )
    world_sd: Number = key(
        "Standard deviation over simulated worlds of the difference between two models, as a "
        "share of the MSE.",
        0.1,
        gt=0,
    )
    test_share: Number = key(
        "Share of the genes in a test fold, where there are no splits yet.", 0.064, gt=0, lt=1
    )


class ClaimsFile(Keys):
    """The paper's claims, the contrast that tests each, and the rule of its verdict."""

    margin: Number = key(
        "Equivalence margin: a difference below this share of the reference's MSE counts as none.",
        ge=0,
        lt=1,
    )
    level: Number = key(
        "Coverage of the intervals that the verdicts are computed from.", gt=0.5, lt=1
    )
    planning: Planning = key("Noise assumed before training.", {})
    claims: dict[str, Claim] = key("Claims by name.", min_length=1)


def read_claims(path: str | Path) -> dict[str, Any]:
    """The claims file, checked.

    Raises:
        InputError: with file and line, what is wrong.
    """
    content = yaml_files.validate(yaml_files.read_yaml(path), ClaimsFile, [Path(path)])
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
            sizes = sorted({len(term["models"]) for term in test.get("terms") or []})
            if len(sizes) > 1:
                place = yaml_files.where([Path(path)], ("claims", name, "tests", position, "terms"))
                raise InputError(
                    f"{place}: expected equally many alternatives in every term, because one is "
                    f"taken for all terms at once, found {' and '.join(map(str, sizes))}; add or "
                    "remove some."
                )
    return content


def tests_of(content: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(id of the claim, claim, test) of every test in the order of the file."""
    # By position, because keys are sorted on the way to a job.
    for name, claim in sorted(content["claims"].items(), key=lambda item: item[1]["position"]):
        for test in claim["tests"]:
            yield name, claim, test


def in_arm(test: dict[str, Any], planned: Collection[str]) -> dict[str, Any]:
    """The test on its matched arm where all experiments of that arm are planned, else as it is.

    Returns:
        With ``arm`` ``matched`` where it is so, ``published`` where there could be one.
    """
    matched = test.get("matched")
    if matched is None:
        return test
    if set(matched["experiments"]) <= set(planned):
        return {**test, **matched, "arm": "matched"}
    return {**test, "arm": "published"}


def _arms(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for _, _, test in tests_of(content):
        yield test
        yield test.get("matched") or {}


def experiments_of(content: dict[str, Any]) -> list[str]:
    """Experiments whose runs some test needs, or takes where there are any."""
    return list(dict.fromkeys(e for arm in _arms(content) for e in arm.get("experiments", [])))


def compared_models(content: dict[str, Any]) -> set[str]:
    """Models that some test compares one model with."""
    return {model for arm in _arms(content) for model in arm.get("against") or ()}


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
