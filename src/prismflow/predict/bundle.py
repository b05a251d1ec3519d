"""Bundles: all seeds of one model in one folder or zip, with all that a prediction needs.

``bundle.json`` says what the model reads and holds a digest of every other file and of itself;
``members/{fold}_seed{seed}/`` holds weights and ``model.json``; ``metrics.tsv`` how the runs did on
their test genes; ``README.md`` is the model card. Nothing in a bundle is executed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prismflow.errors import InputError
from prismflow.files import atomic_path, read_json, sha256, write_json

FORMAT_VERSION = 1
MANIFEST = "bundle.json"
NEEDED = (
    "cell", "dataset", "digest", "features", "files", "format_version", "label", "members",
    "modalities", "promoter_activity", "ranges", "scale", "settings", "window_bp",
)  # fmt: skip
_EPOCH = (1980, 1, 1, 0, 0, 0)
_COPIED = 1 << 20


@dataclass(frozen=True)
class Bundle:
    """An opened bundle whose files have the digests that it says.

    Attributes:
        folder: where its files are.
        manifest: content of ``bundle.json``.
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """Resolved settings of the model, the same in all members."""
        return self.manifest["settings"]

    @property
    def members(self) -> list[str]:
        """Names of the members, ``{fold}_seed{seed}``."""
        return list(self.manifest["members"])

    def weights(self, member: str) -> Path:
        """Weights of a member."""
        return self.folder / "members" / member / "model.safetensors"


def content_digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its own digest."""
    content = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def finish_bundle(folder: Path, manifest: Mapping[str, Any], out: str | Path) -> None:
    """Write ``bundle.json`` for the files of ``folder`` and put all at ``out``.

    Args:
        folder: holds every other file of the bundle; is emptied.
        manifest: everything but ``format_version``, ``files`` and ``digest``.
        out: folder to make, or a zip where the name ends in ``.zip``; the same files give the same
            bytes.

    Raises:
        InputError: ``out`` is a folder that is no bundle.
    """
    out = Path(out)
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise InputError(
            f"{out}: expected a new folder or an older bundle, found other files; name another."
        )
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    files = {name: sha256(folder / name) for name in names}
    complete = {**manifest, "format_version": FORMAT_VERSION, "files": files}
    complete = json.loads(json.dumps(complete))  # digests are of what JSON gives back
    write_json(complete | {"digest": content_digest(complete)}, folder / MANIFEST)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix != ".zip":
        shutil.rmtree(out, ignore_errors=True)
        shutil.move(str(folder), str(out))
        return
    with atomic_path(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in [MANIFEST, *names]:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, (folder / name).read_bytes())


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[Bundle]:
    """A bundle for as long as the block lasts; a zip is unpacked into a temporary folder.

    Raises:
        InputError: no bundle, one of another version, or a file whose bytes were changed.
    """
    path = Path(path)
    if path.is_dir():
        yield _checked(path, path)
        return
    if not path.is_file():
        raise InputError(f"{path}: expected a bundle (folder or zip), found no such file.")
    with tempfile.TemporaryDirectory(prefix="prismflow-bundle-") as temporary:
        _unpack(path, Path(temporary))
        yield _checked(Path(temporary), path)


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                parts = Path(name).parts
                if Path(name).is_absolute() or ".." in parts:
                    raise InputError(
                        f"{path}: expected files within the bundle, found {name!r}, which leaves "
                        "it; take the bundle as it was exported."
                    )
                target = folder / name
                if name.endswith("/"):
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, _COPIED)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise InputError(
            f"{path}: expected a whole bundle (zip), found {error}; copy it again."
        ) from None


def _checked(folder: Path, path: Path) -> Bundle:
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{path}: expected a bundle with {MANIFEST}, found none; make one with "
            "python -m prismflow.predict --export."
        )
    manifest = read_json(folder / MANIFEST)
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: expected a bundle of format_version {FORMAT_VERSION}, found {version}; "
            "export it with this version of the package, or use the version that made it."
        )
    absent = [key for key in NEEDED if key not in manifest]
    if absent or content_digest(manifest) != manifest["digest"]:
        raise InputError(
            f"{path}: expected {MANIFEST} as it was exported, found "
            + (f"no {', '.join(absent)}" if absent else "other content than its digest says")
            + "; copy the bundle again."
        )
    for name, digest in manifest["files"].items():
        file = folder / name
        if not file.is_file():
            raise InputError(f"{path}: expected the file {name}, found none; copy it again.")
        if sha256(file) != digest:
            raise InputError(
                f"{path}: expected {name} as it was exported, found other bytes than its digest "
                "says; copy the bundle again."
            )
    return Bundle(folder, manifest)
