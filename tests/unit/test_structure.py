"""Promises about the repository itself: what rules name exists, pins agree, scripts are thin."""

from __future__ import annotations

import ast
import graphlib
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

RULE = re.compile(r"^(?:    )?rule ?(\w*):\n((?:(?:    .*)?\n)+)", re.MULTILINE)
#: A room imports what stands before it; these five modules may be imported by all.
ROOMS = [
    "jobs", "settings", "plan", "statistics", "portals", "data",
    "simulate", "models", "training", "evaluation", "predict", "explain", "figures", "released",
]  # fmt: skip
SHARED = {"errors", "files", "rows", "labels", "arrays"}
LOCAL = {
    "all", "figures", "tables", "stores", "downloads", "report", "attributions", "variants",
    "predict", "bundles", "enhancer_gene",
}  # fmt: skip


def rules(root: Path) -> dict[str, tuple[Path, str]]:
    """Name -> (file, text) of every rule; a rule named at run time goes by its script."""
    found = {}
    for path in [root / "Snakefile", *sorted((root / "rules").glob("*.smk"))]:
        for match in RULE.finditer(path.read_text() + "\n"):
            script = re.search(r"scripts/(\w+)\.py", match[2])
            name = match[1] or (script[1] if script else "?")
            found[name] = (path, match[2])
    return found


def imports(root: Path) -> dict[str, set[str]]:
    """Module of the package -> modules of it that it imports, also in functions and for types."""
    source = root / "src" / "prismflow"
    paths = {
        ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__"): path
        for path in source.rglob("*.py")
        if path != source / "__init__.py"
    }
    found = {}
    for name, path in paths.items():
        nodes = list(ast.walk(ast.parse(path.read_text())))
        named = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
        for node in nodes:
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{name}: expected absolute imports"
                inside = {f"{node.module}.{alias.name}" for alias in node.names}
                modules = {i for i in inside if i.removeprefix("prismflow.") in paths}
                named |= modules | ({node.module} if len(modules) < len(inside) else set())
        ours = {n.removeprefix("prismflow.") for n in named if n.startswith("prismflow.")}
        assert ours <= set(paths), f"{name}: imports {sorted(ours - set(paths))}"
        found[name] = ours - {name}
    return found


def test_rooms_import_only_rooms_that_stand_before_them(root: Path) -> None:
    against = []
    for name, imported in imports(root).items():
        room = name.split(".")[0]
        allowed = SHARED if room in SHARED else {*SHARED, *ROOMS[: ROOMS.index(room) + 1]}
        against += [f"{name} -> {i}" for i in sorted(imported) if i.split(".")[0] not in allowed]
    assert not against


def test_modules_import_each_other_in_no_circle(root: Path) -> None:
    tuple(graphlib.TopologicalSorter(imports(root)).static_order())


def test_nothing_outside_released_imports_it(root: Path) -> None:
    # The authors' files may go one day without touching anything else.
    for name, imported in imports(root).items():
        outside = [i for i in imported if i.split(".")[0] == "released"]
        assert name.split(".")[0] == "released" or not outside, f"{name} imports {outside}"


def test_there_are_no_rooms_but_those_of_the_plan_and_each_says_what_it_holds(root: Path) -> None:
    source = root / "src" / "prismflow"
    assert {path.parent.name for path in source.glob("*/__init__.py")} == set(ROOMS)
    assert {path.stem for path in source.glob("*.py")} == {*SHARED, "__init__"}
    for name in imports(root):
        path = source.joinpath(*name.split("."))
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
        assert first and "\n" not in first, f"{name}: the docstring must begin with one line"


def test_tests_stand_in_the_room_that_they_test(root: Path) -> None:
    unit = root / "tests" / "unit"
    tested = {path.parent.name for path in unit.glob("*/**/test_*.py")}
    assert tested == set(ROOMS)  # beside them: promises about the whole


#: Tests of more than one module of their room, or of one thing in several files.
NOT_OF_ONE_MODULE = {
    "data/test_columns": "genes and splits: each fault on each column of the gene table",
    "data/test_normalisations": "contacts and contact_guard: each fault of each normalisation",
    "data/test_peaks_path": "peaks from the sheet of tracks to the mask that a model reads",
    "explain/test_methods": "gradients, substitutions, occlusion, contexts on known networks",
    "explain/test_truth": "the whole room against the truth of the simulator",
    "figures/test_plots_comparisons": "all renderers that compare models",
    "figures/test_plots_described": "all renderers that describe data, models and runs",
    "figures/test_plots_grid": "all renderers over a grid of sizes, names and values",
    "jobs/test_accidents": "script, files and portals where a disk is full or a job is killed",
    "jobs/test_what_reruns": "code_digest over the whole package, row by row",
    "figures/test_reference_images": "all renderers against their reference images",
    "models/test_ahead_of_time": "kernels of scan, compiled for cards that are not there",
    "models/test_gpu_command": "the command in benchmarks that checks and measures a GPU",
    "evaluation/test_verdict_errors": "the command in benchmarks on errors of verdicts",
    "models/test_kernel_cache": "the cache of all kernels of scan",
    "models/test_networks": "promises that every network keeps",
    "models/test_prism_contexts": "prism: its contexts",
    "models/test_prism_random": "prism: its variants that draw at random",
    "plan/test_documented": "runs, from what the guide shows",
    "portals/test_shared_files": "reference_files with the sheet that settings reads",
    "settings/test_rows": "rows of every table of settings",
}


def test_each_test_file_is_named_after_a_module_of_its_room(root: Path) -> None:
    unit, source = root / "tests" / "unit", root / "src" / "prismflow"
    apart = set()
    for path in unit.glob("*/**/test_*.py"):
        room, name = path.relative_to(unit).parts[0], path.stem.removeprefix("test_")
        modules = {module.stem for module in (source / room).rglob("*.py")}
        packages = {folder.parent.name for folder in (source / room).rglob("__init__.py")}
        if name not in modules | packages:
            apart.add(f"{room}/{path.stem}")
    assert apart == set(NOT_OF_ONE_MODULE)


def test_rules_are_found(root: Path) -> None:
    assert {"train", "evaluate", "build_store", "simulate_genome", "all"} <= set(rules(root))


def test_every_rule_has_what_the_design_promises(root: Path) -> None:
    for name, (path, text) in rules(root).items():
        if name in LOCAL:
            continue
        wanted = ["log:", "benchmark:", "resources:", "mem_mb", "runtime", "conda:"]
        if name != "write_report":
            wanted.append("code=")
        if name == "checks":
            wanted.remove("benchmark:")  # it is an output, and the table is made at every start
        for directive in wanted:
            assert directive in text, f"{path.name}: rule {name} lacks {directive}"


def test_paths_that_rules_name_exist(root: Path) -> None:
    for name, (path, text) in rules(root).items():
        named = re.findall(r'"(\.\./[^"{}]+)"', text)
        for relative in named:
            assert (path.parent / relative).resolve().is_file(), f"{name}: {relative}"
    common = (root / "rules" / "common.smk").read_text()
    environment = re.search(r'ENVIRONMENT = "([^"]+)"', common)
    assert environment and (root / "rules" / environment[1]).resolve().is_file()


def test_scripts_are_thin_and_named_after_their_rules(root: Path) -> None:
    scripts = {path.stem: path for path in (root / "workflow" / "scripts").glob("*.py")}
    used = {
        found[1]
        for _, text in rules(root).values()
        if (found := re.search(r"scripts/(\w+)\.py", text))
    }
    assert used == set(scripts)
    for name, (_, text) in rules(root).items():
        found = re.search(r"scripts/(\w+)\.py", text)
        assert found is None or found[1] == name
    for path in scripts.values():
        assert len(path.read_text().splitlines()) <= 30, path


def test_the_snakefile_is_a_table_of_contents(root: Path) -> None:
    assert len((root / "Snakefile").read_text().splitlines()) <= 60


def locked(root: Path) -> dict[str, set[str]]:
    """Package -> versions in the lock (several where Python versions differ)."""
    versions: dict[str, set[str]] = {}
    text = (root / "envs" / "requirements.lock").read_text()
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", text, re.MULTILINE):
        versions.setdefault(name.lower().replace("_", "-"), set()).add(version)
    return versions


def test_conda_pins_equal_the_lock(root: Path) -> None:
    text = (root / "envs" / "prismflow.yaml").read_text()
    pins = dict(re.findall(r"- ([A-Za-z0-9_.-]+)==(\S+)", text))
    setup = (root / "envs" / "setup.sh").read_text()
    assert pins.pop("torch") in setup
    assert pins
    for name, version in pins.items():
        assert version in locked(root)[name.lower()], name


def test_every_dependency_is_locked_and_explained(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    explained = (root / "docs" / "dependencies.md").read_text().lower()
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=!~ ]", requirement)[0].lower()
        assert name == "torch" or name in locked(root), name
        assert name in explained, f"docs/dependencies.md does not say why {name}"


def test_the_lock_names_no_cuda_package(root: Path) -> None:
    assert not [name for name in locked(root) if name.startswith(("nvidia", "cuda", "torch"))]


def test_sequence_only_architectures_are_the_models_that_read_no_signal() -> None:
    from named import TABULAR, model_class

    from prismflow.settings.architectures import ARCHITECTURES

    reading = {
        name: getattr(model_class(name), "uses_signals", True)
        for name in ARCHITECTURES
        if name not in TABULAR
    }
    assert reading == {name: ARCHITECTURES[name].reads_signals for name in reading}


def test_what_types_are_told_to_ignore_has_a_reason(root: Path) -> None:
    silent = re.compile(r"# type: ignore(\[[\w, -]+\])?\s*$", re.MULTILINE)
    without = [p.name for p in (root / "src").rglob("*.py") if silent.search(p.read_text())]
    assert not without


def test_no_file_names_this_machine(root: Path) -> None:
    listed = subprocess.run(
        ["git", "grep", "-lI", "-e", str(root.parent) + "/", "--", ".", ":!*.lock"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode > 1:
        pytest.skip("not a git checkout")
    assert not listed.stdout.split()


def test_planning_imports_nothing_heavy() -> None:
    # Each costs every start of Snakemake a part of a second, torch more than one.
    heavy = ("numpy", "pandas", "torch", "hictkpy", "numba", "scipy", "sklearn")
    rooms = (
        "settings.config", "jobs.code_digest", "plan.rules", "plan.inputs", "plan.parameters",
        "plan.requests", "plan.downloads", "plan.digests", "plan.price_request", "plan.results",
    )  # fmt: skip
    code = (
        "import sys, importlib\n"
        f"for room in {rooms!r}: importlib.import_module('prismflow.' + room)\n"
        f"print(*[m for m in {heavy!r} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not result.stdout.split()


def test_contact_matrices_keep_no_core_busy(root: Path) -> None:
    # hictkpy's own import leaves a thread that never rests.
    code = (
        "import time, prismflow.data.contacts\n"
        "before = time.process_time(); time.sleep(0.5)\n"
        "print(time.process_time() - before)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert float(result.stdout) < 0.2
    importing = [
        path.name
        for folder in ("src", "tests", "workflow")
        for path in (root / folder).rglob("*.py")
        if re.search(r"^\s*(import|from) hictkpy\b", path.read_text(), flags=re.MULTILINE)
    ]
    assert importing == ["hictk.py"]


def test_every_experiment_stands_in_the_gallery(root: Path) -> None:
    page = (root / "docs" / "figures.md").read_text()
    named = set(re.findall(r"`(\w+)`", page))
    experiments = yaml.safe_load((root / "config" / "experiments.yaml").read_text())["experiments"]
    checks = {name for name, entry in experiments.items() if entry.get("category") == "Checks"}
    assert set(experiments) - checks <= named
    for picture in re.findall(r"\]\((images/\S+)\)", page):
        assert (root / "docs" / picture).is_file(), picture
    pictures = (root / "docs" / "images").rglob("*.png")
    assert sum(path.stat().st_size for path in pictures) < 2e6
    assert "simulated" in page.split("##")[0]


def test_the_tree_of_the_architecture_page_is_that_of_the_code(root: Path) -> None:
    command = [sys.executable, str(root / "docs" / "make_tree.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_picture_of_the_rules_is_that_of_the_demo(root: Path) -> None:
    spec = importlib.util.spec_from_file_location("graph", root / "docs" / "make_rulegraph.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    drawn = (root / "docs" / "images" / "rulegraph.tsv").read_text().splitlines()[1:]
    found = [f"{first}\t{then}" for first, then in module.of_the_demo()]
    assert drawn == found, "run python docs/make_rulegraph.py and look at the picture"


def test_pages_name_files_and_modules_that_exist(root: Path) -> None:
    folders = "src|tests|docs|rules|workflow|envs|slurm|config"
    file = re.compile(rf"(?<![\w/.])(?:{folders})/[\w/.-]+\.(?:py|smk|md|lock|yaml|tsv)\b")
    module = re.compile(r"\bprismflow((?:\.[a-z]\w*)+)(?!\.?\w)")
    source = root / "src" / "prismflow"
    for page in [*root.glob("*.md"), *(root / "docs").rglob("*.md")]:
        text = page.read_text()
        for name in file.findall(text):
            assert (root / name).exists() or (page.parent / name).exists(), f"{page.name}: {name}"
        for name in module.findall(text):
            # What a room or a module holds may follow its name.
            parts = name.strip(".").split(".")
            if parts[-1] not in ("yaml", "lock", "sh"):
                known = [source.joinpath(*parts[:n]) for n in (len(parts), len(parts) - 1) if n]
                found = any(p.is_dir() or p.with_suffix(".py").is_file() for p in known)
                assert found, f"{page.name}: prismflow{name}"


def test_files_that_the_suite_begins_with_are_there(root: Path) -> None:
    text = (root / "tests" / "conftest.py").read_text()
    named = re.findall(r'^    "([\w/]+\.py)",$', text, flags=re.MULTILINE)
    assert len(named) == len(set(named)) > 5
    assert [name for name in named if not (root / "tests" / name).is_file()] == []
