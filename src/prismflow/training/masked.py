"""Masked bases: pieces of genome, what of them is hidden, and the network that guesses it.

As in BERT and Caduceus: of the bases that are to be guessed 80 % are hidden, 10 % exchanged for a
random base and 10 % left as they are. A hidden base looks like N, four zeros, because models read
one-hot bases and not tokens. Half of the pieces are read as their reverse complement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from prismflow.data.genome import UNKNOWN, Genome
from prismflow.errors import InputError
from prismflow.models import class_of
from prismflow.models.common import zero_linear_biases
from prismflow.settings.fields import parse_settings

HIDDEN, EXCHANGED = 0.8, 0.9
N_BASES = 4
_ONE_HOT = np.concatenate([np.eye(4, dtype=np.float32), np.zeros((1, 4), np.float32)])


@dataclass(frozen=True)
class Pieces:
    """Pieces of training chromosomes, laid end to end from each chromosome's first base.

    Attributes:
        genome: where bases are read.
        window_bp: length of each.
        chroms: (n,) chromosome of each.
        starts: (n,) int64 first base, 0-based.
        digest: of all bases of these chromosomes.
    """

    genome: Genome
    window_bp: int
    chroms: np.ndarray
    starts: np.ndarray
    digest: str

    def __len__(self) -> int:
        return len(self.starts)

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """Base codes uint8 (len(rows), window_bp)."""
        found = [
            self.genome.codes(str(chrom), int(start), int(start) + self.window_bp)
            for chrom, start in zip(self.chroms[rows], self.starts[rows], strict=True)
        ]
        return np.stack(found)


def pieces_of(
    genome: Genome, chromosomes: Sequence[str], window_bp: int, most_unknown: float
) -> Pieces:
    """Whole pieces of some chromosomes, without those that are mostly N.

    Args:
        genome: the FASTA.
        chromosomes: names of it.
        window_bp: length of a piece.
        most_unknown: largest share of N in a piece.

    Raises:
        InputError: a chromosome that the FASTA lacks, or no piece.
    """
    chroms: list[str] = []
    starts: list[np.ndarray] = []
    digest = hashlib.sha256()
    for chrom in chromosomes:
        codes = genome.chromosome(chrom)
        digest.update(f"{chrom} {len(codes)}\n".encode())
        digest.update(codes.tobytes())
        n = len(codes) // window_bp
        pieces = codes[: n * window_bp].reshape(n, window_bp)
        kept = np.flatnonzero((pieces == UNKNOWN).mean(axis=1) <= most_unknown) * window_bp
        chroms += [chrom] * len(kept)
        starts.append(kept.astype(np.int64))
    if not chroms:
        raise InputError(
            f"{genome.path}: expected pieces of {window_bp} bp with at most {most_unknown:.0%} N "
            f"on the training chromosomes ({', '.join(chromosomes)}), found none; lower "
            "`window_bp` of the pretraining."
        )
    place = np.concatenate(starts)
    return Pieces(genome, window_bp, np.array(chroms), place, digest.hexdigest()[:16])


def hide(
    codes: np.ndarray, masked_share: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """What the network sees, and what it has to guess.

    Args:
        codes: base codes uint8 (B, L), 4 for N.
        masked_share: share of the known bases that are to be guessed.
        rng: draws strands and bases.

    Returns:
        Codes (B, L) with some hidden or exchanged, and targets int64 (B, L): the base where it is
        to be guessed, else -100, which the cross entropy leaves out.
    """
    codes = codes.copy()
    turned = rng.random(len(codes)) < 0.5
    reverse = codes[turned, ::-1]
    codes[turned] = np.where(reverse < UNKNOWN, 3 - reverse, reverse)
    chosen = (rng.random(codes.shape, np.float32) < masked_share) & (codes < UNKNOWN)
    how = rng.random(codes.shape, np.float32)
    other = rng.integers(0, N_BASES, codes.shape, np.uint8)
    targets = np.where(chosen, codes.astype(np.int64), -100)
    seen = np.where(chosen & (how < EXCHANGED), other, codes)
    seen = np.where(chosen & (how < HIDDEN), np.uint8(UNKNOWN), seen)
    return seen.astype(np.uint8), targets


class MaskedBases(nn.Module):
    """Embedding, backbone, and a linear map to the four bases.

    Args:
        backbone: (B, L, d_model) -> same.
        d_model: features per position.
    """

    def __init__(self, backbone: nn.Module, d_model: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(N_BASES, d_model)
        self.backbone = backbone
        self.output = nn.Linear(d_model, N_BASES)
        zero_linear_biases(self)

    def forward(self, codes: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross entropy in nats and number of right guesses, summed over the targets.

        Args:
            codes: uint8 (B, L).
            targets: int64 (B, L), -100 where nothing is to be guessed.
        """
        table = torch.from_numpy(_ONE_HOT).to(codes.device)
        hidden = self.backbone(self.embedding(table[codes.long()]))
        asked = targets >= 0
        logits, wanted = self.output(hidden[asked]).float(), targets[asked]
        right = (logits.argmax(dim=-1) == wanted).sum()
        return {"loss": F.cross_entropy(logits, wanted, reduction="sum"), "right": right}

    def kept(self) -> dict[str, Tensor]:
        """What models start from: embedding and backbone."""
        state = self.state_dict()
        return {name: value for name, value in state.items() if not name.startswith("output.")}


def network_of(settings: Mapping[str, Any], checkpoint_activations: bool = False) -> MaskedBases:
    """A fresh network around the backbone of the model that the settings name.

    Raises:
        InputError: hyperparameters that the model's class does not have.
    """
    cls = class_of(settings)
    sizes = parse_settings(
        cls.Settings, settings["hyperparameters"], f"hyperparameters of {cls.architecture}"
    )
    backbone = sizes.backbone(checkpoint_activations=checkpoint_activations)
    return MaskedBases(backbone, sizes.d_model)
