"""Codes as coalesced sparse tensors: of sorted entries, stacked over images, checked where they come from files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def stack_codes(parts: Sequence[tuple[Tensor, Tensor]], shape: Sequence[int], like: Tensor) -> Tensor:
    """One coalesced sparse tensor (N, K, *code) of N (indices, values) pairs; ``shape`` is (K, *code)."""
    numbered = [torch.zeros(1 + len(shape), 0, dtype=torch.int64, device=like.device)]
    for number, (indices, values) in enumerate(parts):
        image = torch.full((1, len(values)), number, dtype=torch.int64, device=values.device)
        numbered.append(torch.cat([image, indices]))
    values = torch.cat([like.new_zeros(0), *(values for _, values in parts)])
    return sparse_codes(torch.cat(numbered, 1), values, (len(parts), *shape))


def check_codes(stacks: Iterable[Tensor]) -> None:
    """Raise RuntimeError where codes read from elsewhere are out of their tensor, repeated or out of order."""
    for codes in stacks:
        torch.sparse_coo_tensor(codes.indices(), codes.values(), codes.shape, check_invariants=True, is_coalesced=True)


def sparse_codes(indices: Tensor, values: Tensor, shape: Sequence[int]) -> Tensor:
    """A sparse tensor of entries that are sorted and single already."""
    return torch.sparse_coo_tensor(indices, values, tuple(shape), check_invariants=False, is_coalesced=True)
