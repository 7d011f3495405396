"""The duality gap: a bound, from the codes alone, on how far their objective is above the smallest possible."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class Certificate:
    """``objective`` P(z) ≥ min P ≥ ``dual``."""

    objective: float
    dual: float

    @property
    def gap(self) -> float:
        """(P − dual) / P, the relative duality gap; 0 where P is."""
        return max(self.objective - self.dual, 0.0) / max(self.objective, _TINY)


def certify(
    residual: Tensor, weighted: Tensor, correlation: Tensor, codes: Tensor, penalties: Tensor, nonnegative: bool
) -> Certificate:
    """P(z), and the dual value at the residual scaled until it is feasible.

    The dual of ½‖W(s − Dz)‖² + Σλ_i|z_i| is max ⟨θ, Ws⟩ − ½‖θ‖² subject to |DᵀWθ|_i ≤ λ_i (with z ≥ 0:
    (DᵀWθ)_i ≤ λ_i). At θ = α·W(s − Dz) it is largest for α = ⟨Wr, Ws⟩/‖Wr‖², cut to
    [0, min_i λ_i / |DᵀW·Wr|_i] (El Ghaoui, Viallon & Rabbani 2012; Fercoq, Gramfort & Salmon 2015).

    Args:
        residual: W(s − Dz), (C, *size).
        weighted: Ws.
        correlation: DᵀW · residual, (K, *code).
        codes: z, (K, *code).
        penalties: λ, broadcastable to the codes.
        nonnegative: whether z ≥ 0.
    """
    exact = residual.double()
    norm = float(exact.square().sum())
    agreement = float((exact * weighted).sum())
    cost = torch.where(codes != 0, penalties * codes.abs(), 0).sum(dtype=torch.float64)
    size = correlation if nonnegative else correlation.abs()
    most = float((penalties / size.clamp_min(torch.finfo(size.dtype).tiny)).amin())
    scale = min(max(agreement / norm, 0.0), most) if norm > 0 else 0.0
    return Certificate(0.5 * norm + float(cost), scale * agreement - 0.5 * scale * scale * norm)
