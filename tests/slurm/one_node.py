"""A real Slurm of one node on this machine, for tests: own configuration, keys, ports and folder.

``python tests/slurm/one_node.py FOLDER`` starts one, prints how to use it and stops it at Ctrl-C.
Nothing outside the folder is written (but Debian's packages, where they are missing, the user is
root and no service manager runs), and no other cluster's configuration is read: the commands in
``FOLDER/bin`` name the folder's configuration themselves, because job steps lose SLURM_CONF.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct")
CPUS = 16
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
"""Only here are Slurm's programs looked for: a cluster's own wrappers stand in other places."""

CONFIGURATION = """\
ClusterName=prismtest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
KillWait=10
SlurmdTimeout=20
MessageTimeout=60
SlurmdParameters=config_overrides
{gres_types}NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=400000{node_gres}
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
{gpu_partition}"""


class CannotStart(Exception):
    """Why there can be no Slurm here, in one sentence."""


def install() -> None:
    """See to the daemons.

    Raises:
        CannotStart: they are missing and can't be installed from here.
    """
    if os.geteuid() != 0:
        raise CannotStart("a Slurm that runs jobs and pretends GPUs needs root, for tests too")
    with Path(tempfile.gettempdir(), "prismflow_slurm_install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other test processes wait here for the first one
        if all(map(_found, DAEMONS)):
            return
        hint = "install Debian's packages slurm-wlm and munge to run these tests"
        if not shutil.which("apt-get"):
            raise CannotStart(f"no Slurm here, and no apt-get to install it with: {hint}")
        if Path("/run/systemd/system").exists():
            raise CannotStart(f"no Slurm here, and installing it would start services: {hint}")
        command = "apt-get update -qq && apt-get install -qq -y --no-install-recommends"
        result = subprocess.run(
            f"{command} slurm-wlm munge", shell=True, capture_output=True, text=True, check=False,
            timeout=600, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip
        if result.returncode or not all(map(_found, DAEMONS)):
            reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
            raise CannotStart(f"apt-get cannot install Slurm ({reason}): {hint}")


def _found(program: str) -> str | None:
    return shutil.which(program, path=SYSTEM_PATH)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_for(what: str, check: Callable[[], object], seconds: float) -> None:
    """Poll until ``check`` holds.

    Raises:
        TimeoutError: naming ``what`` didn't come about in time.
    """
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds:.0f} s still waiting for: {what}")
        time.sleep(0.25)


class OneNode:
    """The cluster in one folder.

    Args:
        folder: short enough for a socket's path (about 90 characters), and empty.
        gpus: pretended GPUs of the node; with 0 there is no partition ``gpu`` and no GPU at all.
    """

    def __init__(self, folder: Path, gpus: int = 4) -> None:
        self.folder, self.gpus = folder, gpus
        self.bin = folder / "bin"
        self.configuration = folder / "slurm.conf"
        self._munged: subprocess.Popen[bytes] | None = None
        self._controller: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, with the cluster's commands first in PATH."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))}
        return kept | {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}

    def call(self, *command: str) -> str:
        """Output of one of the cluster's commands."""
        path = str(self.bin / command[0])
        return subprocess.run(
            [path, *command[1:]], capture_output=True, text=True, check=True, timeout=60
        ).stdout

    def node_state(self) -> str:
        """State of the only node, as sinfo writes it (``idle``, ``mixed``, ``down*``)."""
        return self.call("sinfo", "--noheader", "--format=%T", "--partition=cpu").strip()

    def jobs(self, *states: str) -> list[tuple[str, str]]:
        """(identifier, comment) of the jobs in these states, or of all unfinished ones."""
        chosen = f"--states={','.join(states)}" if states else "--states=PD,R,CG,CF,S"
        lines = self.call("squeue", "--noheader", "--format=%i|%k", chosen).splitlines()
        return [(line.split("|")[0], line.split("|")[1]) for line in lines]

    def submissions(self) -> int:
        """Jobs that were ever submitted."""
        return len(self.call("squeue", "--noheader", "--format=%i", "--states=all").splitlines())

    def start(self) -> None:
        """Write the configuration and start the daemons.

        Raises:
            CannotStart: a daemon ends or the node doesn't come up.
        """
        install()
        self._write()
        folder = str(self.folder)
        self._munged = self._daemon(
            "munged", "--foreground", "--force", f"--key-file={folder}/munge.key",
            f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid",
            f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed",
        )  # fmt: skip
        try:
            wait_for("munged's socket", (self.folder / "munge.socket").exists, 30)
            self._controller = self._daemon("slurmctld", "-D", "-f", str(self.configuration))
            self.start_node()
        except TimeoutError as error:
            self.stop()
            raise CannotStart(f"Slurm's daemons don't come up here: {error}") from None
        if str(self.configuration) not in self.call("scontrol", "show", "config"):
            raise CannotStart("Slurm's commands here insist on another cluster's configuration")

    def start_node(self) -> None:
        """Start slurmd, anew after :meth:`stop_node`, and wait until the node takes jobs."""
        self._node = self._daemon("slurmd", "-D", "-f", str(self.configuration))
        wait_for("the node to come up", self._is_up, 60)

    def _is_up(self) -> bool:
        with contextlib.suppress(subprocess.CalledProcessError):
            return self.node_state() in ("idle", "mixed", "allocated")
        return False

    def stop_node(self) -> None:
        """Kill slurmd and wait until Slurm takes the node for lost."""
        _end(self._node, signal.SIGKILL)
        wait_for("the node to be seen as down", lambda: "down" in self.node_state(), 120)

    def stop(self) -> None:
        """Cancel all jobs and end the daemons."""
        if self._controller is not None and self._controller.poll() is None:
            with contextlib.suppress(subprocess.SubprocessError, TimeoutError):
                self.call("scancel", f"--user={getpass.getuser()}")
                wait_for("jobs to end", lambda: not self.jobs(), 60)
        for daemon in (self._node, self._controller, self._munged):
            _end(daemon, signal.SIGTERM)

    def _daemon(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        path = _found(program)
        if path is None:
            raise CannotStart(f"{program} is not installed here")
        log = (self.folder / f"{program}.out").open("ab")
        with log:
            # Should this process be killed, its daemons die with it.
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", path, *arguments], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, cwd=self.folder,
                env=self.environment,
            )  # fmt: skip

    def _write(self) -> None:
        for name in ("bin", "state", "spool"):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)  # munged refuses a socket below a folder that others can write
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        controller_port, node_port = _free_ports(2)
        host = socket.gethostname().partition(".")[0]
        self.configuration.write_text(
            CONFIGURATION.format(
                host=host,
                folder=self.folder,
                user=getpass.getuser(),
                cpus=CPUS,
                controller_port=controller_port,
                node_port=node_port,
                gres_types="GresTypes=gpu\n" if self.gpus else "",
                node_gres=f" Gres=gpu:fake:{self.gpus}" if self.gpus else "",
                gpu_partition=f"PartitionName=gpu Nodes={host} State=UP\n" if self.gpus else "",
            )
        )
        devices = [self.folder / f"gpu{number}" for number in range(self.gpus)]
        for device in devices:
            os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))  # another /dev/null
        lines = [f"Name=gpu Type=fake File={device}\n" for device in devices]
        (self.folder / "gres.conf").write_text("".join(lines))
        for command in COMMANDS:
            path = _found(command)
            if path is not None:
                wrapper = self.bin / command
                wrapper.write_text(
                    f'#!/bin/sh\nSLURM_CONF="{self.configuration}"\nexport SLURM_CONF\n'
                    f'exec {path} "$@"\n'
                )
                wrapper.chmod(0o755)


def _end(process: subprocess.Popen[bytes] | None, number: signal.Signals) -> None:
    if process is None or process.poll() is not None:
        return
    process.send_signal(number)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def one_node(gpus: int = 4) -> Iterator[OneNode]:
    """A running cluster in a folder of its own, which is removed at the end.

    Raises:
        CannotStart: there can be none here.
    """
    # Not pytest's folder: its names are too long for a socket.
    with tempfile.TemporaryDirectory(prefix="slurm_", ignore_cleanup_errors=True) as folder:
        cluster = OneNode(Path(folder) / "node", gpus)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def main() -> None:
    """Start a cluster in the folder given and keep it until Ctrl-C."""
    cluster = OneNode(Path(sys.argv[1]).resolve())
    cluster.start()
    print(f"export PATH={cluster.bin}:$PATH     # then use sbatch, squeue, snakemake", flush=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    cluster.stop()


if __name__ == "__main__":
    main()
