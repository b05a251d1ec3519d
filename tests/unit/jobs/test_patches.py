"""The shelf of patches: each is described, and nothing fails to start where its place has moved."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

from prismflow.jobs.patches import Patch, shelf
from prismflow.jobs.patches.module_prefix import moved, prefix_of

HIDE = """
import importlib

def hide(place):
    module, _, names = place.partition(":")
    owner = importlib.import_module(module)
    *outer, last = names.split(".")
    for name in outer:
        owner = getattr(owner, name)
    delattr(owner, last)
"""
STEP = """
import torch
from prismflow.training.optimiser import make_optimiser
model = torch.nn.Linear(2, 1)
torch.nn.init.ones_(model.weight); torch.nn.init.ones_(model.bias)
optimiser = make_optimiser(model)
model(torch.ones(1, 2)).sum().backward()
optimiser.step(); optimiser.zero_grad(); optimiser.load_state_dict(optimiser.state_dict())
print(model.weight.tolist(), model.bias.tolist())
"""
EQUAL = """
import torch
from prismflow.training.determinism import make_deterministic
make_deterministic(torch.device("cpu"))
print(torch.are_deterministic_algorithms_enabled())
"""
REFUSED = """
from prismflow.errors import InputError
try:
    {call}
except InputError as error:
    print("REFUSED", error)
"""
#: Patch -> how its place is taken away (None: as it is described), what is done then, and what that
#: prints where nothing is taken away (None: the same).
CASES: dict[tuple[str, int], tuple[str | None, str, str | None]] = {
    ("waiting", 0): (None, "from prismflow.jobs.patches.waiting import improve_waiting\n"
                     "improve_waiting()\nprint('started')", None),
    ("waiting", 1): (None, "from prismflow.jobs.patches.waiting import improve_waiting\n"
                     "improve_waiting()\nprint('started')", None),
    **{("starts", place): (None, "from types import SimpleNamespace\n"
       "from prismflow.jobs.patches.starts import share_starts\n"
       "share_starts(SimpleNamespace(is_main_process=True))\nprint('started')", None)
       for place in (0, 1)},
    ("group_errors", 0): (None, "from prismflow.jobs.patches.group_errors import "
                          "keep_reasons_of_groups\nkeep_reasons_of_groups()\nprint('started')",
                          None),
    ("keep_going", 0): (None, "from types import SimpleNamespace\n"
                        "from prismflow.jobs.patches.keep_going import keep_going\n"
                        "keep_going(SimpleNamespace())\nprint('started')", None),
    ("module_prefix", 0): (
        None,
        "from types import SimpleNamespace as S\n"
        "from prismflow.jobs.patches.module_prefix import keep_prefix_to_own_files\n"
        "paths = S(prefix='sub/')\n"
        "left = keep_prefix_to_own_files(S(modifier=S(path_modifier=paths)))\n"
        "print(f'left: {left}, {paths.prefix}')", "left: , None"),
    ("module_prefix", 1): (
        "", "from types import SimpleNamespace as S\n"
        "from prismflow.jobs.patches.module_prefix import place_parameters\n"
        + REFUSED.format(call="place_parameters(S(log=['sub/logs/x.log']))"), None),
    ("hictk", 0): ("import atexit\nplain = atexit.register\n"
                   "atexit.register = lambda f, *a, **k: plain(lambda: f(*a, **k))",
                   "from prismflow.jobs.patches.hictk import hictkpy\n"
                   "print(hictkpy.MultiResFile.__name__)", None),
    ("adamw", 0): (None, STEP, None),
    ("determinism", 0): (None, EQUAL, None),
    ("determinism", 1): ("import torch\ndel type(torch.utils.deterministic)."
                         "fill_uninitialized_memory", EQUAL, None),
    ("numba_cache", 0): (None, "from prismflow.models.scan import lanes\n"
                         "print(lanes.kernel(lambda x: x + 1)(1))", None),
    ("fourier", 0): (
        "import torch\nreal = type(torch.ops.aten).__getattr__\n"
        "torch.ops.aten.__dict__.pop('_fft_r2c', None)\n"
        "def absent(self, name):\n"
        "    if name == '_fft_r2c': raise AttributeError(name)\n"
        "    return real(self, name)\n"
        "type(torch.ops.aten).__getattr__ = absent",
        "from prismflow.jobs.patches.fourier import transform_operations\n"
        "print(len(transform_operations()))", "2"),
    ("fourier", 1): (
        "import torch\nreal = type(torch.ops.aten).__getattr__\n"
        "torch.ops.aten.__dict__.pop('_fft_c2r', None)\n"
        "def absent(self, name):\n"
        "    if name == '_fft_c2r': raise AttributeError(name)\n"
        "    return real(self, name)\n"
        "type(torch.ops.aten).__getattr__ = absent",
        "from prismflow.jobs.patches.fourier import transform_operations\n"
        "print(len(transform_operations()))", "2"),
    ("dirichlet", 0): (None, "import torch, prismflow.released.parity.mamba_networks\n"
                       "from prismflow.jobs.patches.dirichlet import dirichlet_gradient\n"
                       "x = torch.full((2,), 0.5)"
                       + REFUSED.format(call="print(len(dirichlet_gradient(x, x, x + 0.5)))"),
                       "2"),
    ("trees", 0): ("", "import numpy as np, prismflow.models.tabular\n"
                   "from types import SimpleNamespace as S\n"
                   "from prismflow.jobs.patches.trees import trees_of\n"
                   "hidden = S(_baseline_prediction=np.zeros(1))"
                   + REFUSED.format(call="trees_of(hidden, 1)"), None),
}  # fmt: skip
PATCHES = {(name, i): patch for name, found in shelf().items() for i, patch in enumerate(found)}


@functools.cache
def printed(code: str) -> str:
    """Last line that a child process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


def test_every_patch_has_a_case() -> None:
    assert set(CASES) == set(PATCHES)


@pytest.mark.parametrize("patch", PATCHES.values(), ids=lambda patch: patch.place)
def test_every_patch_says_what_it_is_for(patch: Patch) -> None:
    assert re.fullmatch(r"[a-z-]+", patch.package) and re.search(r"\d+\.\d+", patch.versions)
    assert patch.link.startswith("https://")
    assert patch.why and patch.fallback


@pytest.mark.parametrize("key", CASES, ids=lambda key: f"{key[0]}-{key[1]}")
def test_nothing_fails_to_start_where_the_place_has_moved(key: tuple[str, int]) -> None:
    taken, code, present = CASES[key]
    if taken is None:
        taken = HIDE + f"hide({PATCHES[key].place!r})"
    without = printed(f"{taken}\n{code}")
    if "REFUSED" in code:
        assert without.startswith("REFUSED") and "expected" in without and "found" in without
    elif present is None:
        assert without == printed(code)
    else:
        assert printed(code) == present != without


def test_private_names_of_others_are_reached_for_on_the_shelf_alone(root: Path) -> None:
    private = re.compile(
        r"\b(?:torch(?:\.ops\.aten|\.optim|\.utils\.\w+)?|numba|hictkpy|sklearn|snakemake|workflow|"
        r"estimator|scheduler)\._[a-z]|numba\.config\.CACHE|fill_uninitialized|inspect\.unwrap"
    )
    source = root / "src" / "prismflow"
    found = [
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        for line in path.read_text().splitlines()
        # The names in a checkpoint are its format.
        if private.search(line) and '"torch._utils"' not in line
    ]
    assert {str(Path(path).parent) for path in found} == {"jobs/patches"}


@pytest.mark.parametrize(
    ("log", "prefix"),
    [("logs/demo/x.log", ""), ("sub/logs/logs/x.log", "sub/"), ("a/b/logs/x.log", "a/b/"),
     ("mylogs/logs/demo/x.log", "mylogs/"), ("elsewhere.log", "")],
)  # fmt: skip
def test_the_place_of_a_log_says_the_prefix(log: str, prefix: str) -> None:
    assert prefix_of(log) == prefix


def test_paths_of_results_move_and_all_else_stays() -> None:
    given = {
        "stores": {"A": "results/demo/A/inputs.json"}, "n": 3, "none": None,
        "files": ("logs/x.log", "resources/a.fa", "own/results/x"), "results/a": "results",
    }  # fmt: skip
    assert moved(given, "sub/") == {
        "stores": {"A": "sub/results/demo/A/inputs.json"}, "n": 3, "none": None,
        "files": ["sub/logs/x.log", "resources/a.fa", "own/results/x"],
        "sub/results/a": "results",
    }  # fmt: skip
