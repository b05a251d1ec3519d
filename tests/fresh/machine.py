"""A minimal Debian in a folder, with a plain user and the network that this machine has."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

USER = "reader"
HOME = f"/home/{USER}"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
LACKING = "needs root, debootstrap, unshare and a mirror of Debian"


def mirror(suite: str) -> str | None:
    """The first address of this machine's apt that has a suite, or None."""
    if os.geteuid() or not all(shutil.which(p) for p in ("debootstrap", "unshare", "apt-get")):
        return None
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
        capture_output=True, text=True,
    )  # fmt: skip
    for address in sorted({line.rstrip("/") for line in listed.stdout.split()}):
        try:
            urllib.request.urlopen(f"{address}/dists/{suite}/Release", timeout=20).close()
        except (OSError, ValueError):
            continue
        return address
    return None


def pip_settings() -> dict[str, str]:
    """What this machine's pip is told, by its files and its environment: option -> value."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        name, value = line.split("=", 1)
        option = name.rsplit(".", 1)[-1]
        value = value.strip().strip("'\"").replace("\\n", " ")
        if option not in found or name.startswith(":env:"):
            found[option] = value
    return found


@dataclass
class Machine:
    """A root folder in which commands run, as root or as the plain user."""

    root: Path
    folders: list[str]

    def run(self, command: str, *, root: bool = False, network: bool = True,
            timeout: float = 3600) -> subprocess.CompletedProcess[str]:  # fmt: skip
        """Run a line of shell in the user's home (root: in /), with nothing of this environment."""
        place = shlex.quote(str(self.root))
        mounts = [f"mount -t proc proc {place}/proc", f"mount --rbind /dev {place}/dev"]
        mounts += [f"mount --bind {f} {place}{f}" for f in self.folders]
        user = "" if root else f"--userspec={USER}:{USER} "
        inside = f"cd {'/' if root else HOME} && {command}"
        enter = f"exec chroot {user}{place} /usr/bin/env -i HOME={HOME} LANG=C.UTF-8 PATH={PATH} "
        enter += f"DEBIAN_FRONTEND=noninteractive /bin/bash -c {shlex.quote(inside)}"
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        apart += [] if network else ["--net"]
        return subprocess.run([*apart, "/bin/sh", "-c", "; ".join(["set -e", *mounts, enter])],
                              capture_output=True, text=True, timeout=timeout)  # fmt: skip

    def install(self, *packages: str) -> None:
        """Install packages of the distribution without what they only recommend."""
        done = self.run(
            "apt-get update -qq && apt-get install -qq -y --no-install-recommends "
            + " ".join(packages),
            root=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]


def make_machine(root: Path, suite: str, address: str, repository: Path) -> Machine:
    """Unpack a minimal Debian and put a user and a bare copy of the repository into it."""
    done = subprocess.run(
        ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, root, address],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    for file in ("/etc/resolv.conf", "/etc/hosts", CERTIFICATES):
        if Path(file).exists():
            shutil.copy(file, f"{root}{file}")
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True).stdout
    lines = [line for line in dump.splitlines() if line.startswith("Acquire::http")]
    (root / "etc/apt/apt.conf.d/99machine").write_text("\n".join([*lines, ""]))
    settings = pip_settings()
    text = "".join(f"{option} = {value}\n" for option, value in settings.items())
    (root / "etc/pip.conf").write_text(f"[global]\n{text}")
    machine = Machine(root, [])
    for name in sorted(set(re.findall(r"(?:file://)?(/[^\s:]+)", " ".join(settings.values())))):
        place = Path(name)
        if place.is_dir():
            # An index's links lead to its neighbours, so what is mounted is the folder above.
            top = str(place if len(place.parts) <= 3 else place.parent)
            (root / top[1:]).mkdir(parents=True, exist_ok=True)
            machine.folders += [top] if top not in machine.folders else []
        elif place.is_file():
            (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(place, root / name[1:])
    bare = root / "srv" / "prismflow.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", repository, bare], check=True)
    made = machine.run(f"useradd --create-home {USER} && chown -R {USER} /srv", root=True)
    assert made.returncode == 0, made.stderr
    return machine
