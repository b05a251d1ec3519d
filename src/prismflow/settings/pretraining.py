"""Pretraining on bases alone, as a user may ask for it, and which models may start from it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from prismflow.errors import InputError
from prismflow.settings import yaml_files
from prismflow.settings.architectures import ARCHITECTURES
from prismflow.settings.keys import Keys, Number, Whole, even_length, key
from prismflow.settings.sentences import Location
from prismflow.settings.sheets import check_name
from prismflow.settings.training import TrainingSettings


class Pretraining(Keys):
    """Weights from which models start that name it in `initial_weights`."""

    model: str = key("Model of models.yaml whose backbone (sizes) is pretrained.")
    released: str | None = key(
        "Released Caduceus weights (safetensors, or an archive of torch) to take instead of "
        "pretraining; the keys below are then not used.",
        None,
    )
    window_bp: Whole = even_length("Length of the pieces of genome.", 131072, what="window length")
    masked_share: Number = key("Share of the bases that are to be predicted.", 0.15, gt=0, lt=1)
    most_unknown: Number = key("Largest share of N in a piece.", 0.5, ge=0, lt=1)
    seed: Whole = key("Of initial weights, order of pieces and masks.", 1, ge=0)
    training: dict[str, Any] = key(
        "Keys of `training` that differ; nothing is validated, so those on validation say nothing.",
        {},
    )


def check_start(
    name: str,
    models: Mapping[str, Mapping[str, Any]],
    values: Mapping[str, Any],
    files: Sequence[str],
) -> None:
    """Check a model that is going to be trained from pretrained weights, and their pretraining.

    Args:
        name: of the model, whose entry has `initial_weights`.
        models: entries by name.
        values: the validated configuration.
        files: YAML files of the configuration, for messages.

    Raises:
        InputError: there is no such pretraining, one of the two models has no backbone for it, the
            file of released weights is absent, or settings of the training are wrong.
    """
    model, known = models[name], values["pretraining"]
    able = [other for other, row in ARCHITECTURES.items() if row.pretrainable]
    where = yaml_files.where([*files, values["sheets"]["models"]], (name, "initial_weights"))
    if model["initial_weights"] not in known:
        raise InputError(
            f"{where}: expected a name of `pretraining` in the configuration "
            f"({', '.join(known) or 'it has none'}), found {model['initial_weights']!r}; add it "
            "there or correct it."
        )
    if model["architecture"] not in able:
        raise InputError(
            f"{where}: expected an architecture that can start from pretrained weights "
            f"({', '.join(able)}), found {model['architecture']}; remove `initial_weights`."
        )
    if "checkpoint" in model:
        raise InputError(
            f"{where}: expected `initial_weights` or `checkpoint`, found both for {name}; a "
            "released checkpoint is not trained, so remove one."
        )
    _check_pretraining(model["initial_weights"], models, values, files, able)


def _check_pretraining(
    name: str,
    models: Mapping[str, Mapping[str, Any]],
    values: Mapping[str, Any],
    files: Sequence[str],
    able: Sequence[str],
) -> None:
    entry, place = values["pretraining"][name], ("pretraining", name)
    check_name(name, "pretraining", yaml_files.where(files, place))
    where = yaml_files.where(files, (*place, "model"))
    if entry["model"] not in models:
        raise InputError(
            f"{where}: expected a model of {values['sheets']['models']}, found "
            f"{entry['model']!r}; correct it."
        )
    architecture = models[entry["model"]]["architecture"]
    if architecture not in able:
        raise InputError(
            f"{where}: expected a model of one of the architectures {', '.join(able)}, found "
            f"{entry['model']!r} ({architecture}); name another."
        )
    path = entry["released"]
    if path is not None and not os.path.exists(path):
        raise InputError(
            f"{yaml_files.where(files, (*place, 'released'))}: expected released weights at "
            f"{path}, found no such file (looked in {os.getcwd()}); correct the path or put "
            "the file there."
        )

    def places(location: Location) -> list[Location]:
        return [(*place, "training", *location)]

    given = {**values["training"], **entry["training"]}
    yaml_files.validate(given, TrainingSettings, files, places)
