"""Time and memory of whole training steps of the 4-layer backbone on a CPU.

    python benchmarks/step.py                        # everything, about 10 minutes
    python benchmarks/step.py --parts prism
    python benchmarks/step.py --peers FOLDER         # a folder that holds mambapy

Forward + backward + AdamW, d_model = 128, float32 unless it says otherwise. The published layout
has two mixers per block with flips, both projections twice and a grouped convolution.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import measure
import torch
import torch.nn.functional as F
from peers import peers
from torch import Tensor, nn

from prismflow.models.bimamba import BiMambaBackbone, Mixer
from prismflow.training.devices import keep_freed_memory

D_MODEL, LAYERS = 128, 4
LENGTHS = (500, 2000, 10_000, 50_000, 200_000)


class PublishedMixer(nn.Module):
    """The same parameters in the published layout, around any scan."""

    def __init__(self, mixer: Mixer, scan: Callable[..., Tensor]) -> None:
        super().__init__()
        self.mixer, self.scan = mixer, scan

    def one(self, hidden: Tensor, part: int) -> Tensor:
        """One direction: (B, L, d_model) -> (B, L, d_model)."""
        shared, own = self.mixer.mamba_fwd, self.mixer.directions[part]
        x, z = shared.in_proj(hidden).chunk(2, dim=-1)
        taps = own.conv1d.kernel_size[0]
        x = F.conv1d(
            x.transpose(1, 2), own.conv1d.weight, own.conv1d.bias, padding=taps - 1,
            groups=x.shape[-1],
        )[..., : hidden.shape[1]]  # fmt: skip
        x = F.silu(x).transpose(1, 2)
        sizes = [own.dt_rank, own.d_state, own.d_state]
        dt, B, C = own.x_proj(x).split(sizes, dim=-1)
        delta = F.linear(dt, own.dt_proj.weight)
        y = self.scan(x, delta, own.state_matrix(), B, C, own.D, own.dt_proj.bias)
        return shared.out_proj(y * F.silu(z))

    def forward(self, hidden: Tensor) -> Tensor:
        """Both directions, the second one on flipped input."""
        return self.one(hidden, 0) + self.one(hidden.flip(1), 1).flip(1)


def backbone(variant: str) -> BiMambaBackbone:
    """The backbone, fused, or in the published layout around the scan named after a colon."""
    torch.manual_seed(0)
    model = BiMambaBackbone(D_MODEL, LAYERS)
    if variant.startswith("published: "):
        scan = peers_by_name[variant.removeprefix("published: ")]
        for layer in model.layers:
            layer.mixer = PublishedMixer(layer.mixer, scan)
    return model


def training_step(
    variant: str, batch: int, length: int, precision: str = "fp32", optimise: bool = True
) -> Callable[[], None]:
    """One step on random embeddings."""
    model = backbone(variant)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    x = torch.randn(batch, length, D_MODEL)

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = model(x).float().square().mean()
        loss.backward()
        if optimise:
            optimiser.step()

    return step


def layers(rounds: int) -> None:
    """The step at B = 8, L = 2000, and against slow peers at B = 4."""
    variants = {
        "fused, numba": training_step("fused", 8, 2000),
        "fused, numba, bf16 autocast": training_step("fused", 8, 2000, "bf16"),
        "published layout, numba": training_step("published: numba", 8, 2000),
    }
    times = measure.interleaved(variants, rounds)
    rows = [(n, ms, ms / times["fused, numba"], 8e3 / ms) for n, ms in times.items()]
    measure.write_table("step_layout", ("B=8 L=2000", "ms", "times fused", "samples/s"), rows)
    names = ["fused", "published: unbind loop", "published: chunked"]
    names += ["published: mambapy"] if "mambapy" in peers_by_name else []
    times = measure.interleaved({n: training_step(n, 8, 2000) for n in names}, max(2, rounds // 3))
    rows = [(n, ms, ms / times["fused"]) for n, ms in times.items()]
    measure.write_table("step_peers", ("B=8 L=2000", "ms", "times fused"), rows)


def prism(rounds: int) -> None:
    """Prism's three branches in one batch against three passes through the backbone."""
    model = backbone("fused")
    branches = torch.randn(3, 8, 2000, D_MODEL)

    def together() -> None:
        model.zero_grad()
        model(branches.flatten(0, 1)).square().mean().backward()

    def apart() -> None:
        model.zero_grad()
        sum(model(branch).square().mean() for branch in branches).backward()

    def one_by_one() -> None:
        model.zero_grad()
        for branch in branches:
            model(branch).square().mean().backward()

    times = measure.interleaved(
        {"one batch of 24": together, "three passes, one backward": apart,
         "three forward + backward": one_by_one}, rounds,
    )  # fmt: skip
    rows = [(n, ms, times["one batch of 24"] / ms) for n, ms in times.items()]
    measure.write_table("step_prism", ("n=2 B=8 L=2000", "ms", "one batch takes"), rows)


def lengths(rounds: int) -> None:
    """Cost of forward + backward against the length at B = 1."""
    rows = []
    for length in LENGTHS:
        repeats = max(2, min(20, rounds * 10_000 // length))
        step = training_step("fused", 1, length, optimise=False)
        ms = measure.interleaved({"step": step}, repeats)["step"]
        peak = measure.in_own_process(__file__, "--memory-at", length)
        per = (peak / length * 1000) if peak else None
        rows.append((length, ms, ms / length * 1000, peak, per))
    length = LENGTHS[-1]
    peak = measure.in_own_process(__file__, "--memory-at", length, "--checkpoint")
    rows.append(
        (f"{length} checkpointed", None, None, peak, peak / length * 1000 if peak else None)
    )
    header = ("length, B=1", "ms", "ms per 1000", "peak MiB", "MiB per 1000")
    measure.write_table("step_lengths", header, rows)


def peak_at(length: int, recompute: bool) -> float:
    """Peak memory of forward + backward at B = 1."""
    training_step("fused", 1, 64)()
    model = backbone("fused")
    model.checkpoint_activations = recompute
    x = torch.randn(1, length, D_MODEL, requires_grad=True)
    return measure.peak_mib(lambda: model(x).square().mean().backward())


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="layers,prism,lengths")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", help="folder with further packages, such as mambapy")
    parser.add_argument("--memory-at", type=int, help="print the peak memory at this length")
    parser.add_argument("--checkpoint", action="store_true")
    arguments = parser.parse_args()
    measure.use_peers(arguments.peers)
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    if arguments.memory_at:
        print(peak_at(arguments.memory_at, arguments.checkpoint))
        return
    peers_by_name.update(peers())
    for part in arguments.parts.split(","):
        {"layers": layers, "prism": prism, "lengths": lengths}[part](arguments.rounds)


peers_by_name: dict[str, Callable[..., Tensor]] = {}

if __name__ == "__main__":
    main()
