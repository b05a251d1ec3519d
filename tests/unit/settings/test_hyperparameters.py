"""Classes of settings that planning takes out of the models' sources are those of the models."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
from named import model_class

from prismflow.errors import InputError
from prismflow.settings.architectures import ARCHITECTURES
from prismflow.settings.hyperparameters import SECTIONS, check_values, settings_class


@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
@pytest.mark.parametrize("section", list(SECTIONS))
def test_planning_knows_the_class_that_the_job_uses(architecture: str, section: str) -> None:
    planned = settings_class(architecture, section)
    real = getattr(model_class(architecture), SECTIONS[section])
    assert planned.__name__ == real.__name__
    assert dataclasses.asdict(planned()) == dataclasses.asdict(real())
    assert [(f.name, f.type) for f in dataclasses.fields(planned)] == [
        (f.name, f.type) for f in dataclasses.fields(real)
    ]


def test_no_architecture_needs_torch_or_numpy_to_be_checked() -> None:
    code = (
        "import sys\n"
        "from prismflow.settings.architectures import ARCHITECTURES\n"
        "from prismflow.settings.hyperparameters import settings_class\n"
        "for name in ARCHITECTURES: settings_class(name), settings_class(name, 'loss')\n"
        "print(*[m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.split()


@pytest.mark.parametrize(
    ("architecture", "section", "given", "sentence"),
    [
        (
            "prism",
            "hyperparameters",
            {"d_model": "128"},
            r"at d_model: expected integer, found the",
        ),
        (
            "prism",
            "hyperparameters",
            {"d_model": True},
            r"at d_model: expected integer, found True",
        ),
        ("prism", "hyperparameters", {"d_hidden": "x"}, r"expected integer or null, found 'x'"),
        ("prism", "hyperparameters", {"d_modl": 3}, r"at d_modl: unknown .* mean 'd_model'"),
        ("prism", "loss", {"uniform": -1}, r"at uniform: uniform must be 0 or more, found -1"),
        (
            "cnn",
            "loss",
            {"uniform": 1},
            r"unknown loss weight 'uniform' of cnn; expected only none",
        ),
        (
            "seq2exp_hard",
            "hyperparameters",
            {"test_mask": "soft"},
            r"one of hard, top, found 'soft'",
        ),
        ("epinformer", "hyperparameters", {"element_bp": 100}, r"at element_bp: element_bp is too"),
    ],
)
def test_a_wrong_value_is_refused_where_it_stands(
    architecture: str, section: str, given: dict, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        check_values(architecture, section, given, lambda *keys: f"at {keys[-1]}")


def test_lists_are_taken_where_the_class_has_tuples() -> None:
    check_values("epinformer", "hyperparameters", {"tower_channels": [8, 8]}, lambda *keys: "here")
