"""Lazy layers are traced and stay lazy; what a trace refuses names the layer, and what it takes if that is why."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from unconv.errors import ModelError
from unconv.network.audit.audit import audit
from unconv.network.kept_traces import keep_trace
from unconv.network.trace.trace import trace

LAZY: dict[str, tuple[Callable[[], nn.Module], Callable[[], nn.Module], tuple[int, ...]]] = {
    "conv": (lambda: nn.LazyConv2d(4, 3), lambda: nn.Conv2d(3, 4, 3), (3, 8, 8)),
    "conv1d": (lambda: nn.LazyConv1d(4, 3), lambda: nn.Conv1d(3, 4, 3), (3, 8)),
    "transposed": (lambda: nn.LazyConvTranspose2d(4, 2, 2), lambda: nn.ConvTranspose2d(3, 4, 2, 2), (3, 8, 8)),
    "linear": (
        lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(5)),
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 5)),
        (3, 4),
    ),
    "norms": (
        lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.LazyInstanceNorm2d(affine=True)),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.InstanceNorm2d(4, affine=True)),
        (3, 8, 8),
    ),
}


@pytest.mark.parametrize("name", LAZY)
def test_lazy_layers_are_traced_and_stay_lazy(name: str) -> None:
    lazy, made, size = LAZY[name]
    model, plain = lazy(), trace(made(), size)
    seed = torch.get_rng_state()
    for _ in range(2):
        graph = trace(model, size)
        assert graph.macs == plain.macs
        assert graph.parameters == plain.parameters
        assert [layer.parameters for layer in graph] == [layer.parameters for layer in plain]
        assert [layer.output_shape for layer in graph] == [layer.output_shape for layer in plain]
    assert torch.equal(torch.get_rng_state(), seed)
    assert all(map(is_lazy, model.parameters()))
    assert keep_trace(model, size).graph is not None
    assert audit(model, size, measure=False).parameters == plain.parameters


class Up(nn.Module):
    def __init__(self, output_size: tuple[int, int] | None = None, output_padding: int = 0) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=output_padding)
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.up(self.down(x), output_size=self.output_size)
        return out


def behind(layer: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), layer)


REFUSED: list[tuple[nn.Module, str]] = [
    (Up(output_padding=2), r"up \(ConvTranspose2d\).*output padding 2"),
    (Up(output_size=(20, 20)), r"up \(ConvTranspose2d\).*requested an output size of \(20, 20\)"),
    (behind(nn.Conv2d(4, 4, 9)), r"1 \(Conv2d\) failed on 1×4×6×6.*Kernel size"),
    (behind(nn.Conv2d(5, 4, 1)), r"1 \(Conv2d\) got 1×4×6×6 \(batch first\) but takes 5 channels"),
    (behind(nn.ConvTranspose2d(4, 4, 1, padding=4)), r"1 \(ConvTranspose2d\) failed"),
    (behind(nn.MaxPool2d(9)), r"1 \(MaxPool2d\).*too small"),
    (behind(nn.AvgPool2d(2, padding=2)), r"1 \(AvgPool2d\).*half of effective kernel"),
    (behind(nn.ReflectionPad2d(7)), r"1 \(ReflectionPad2d\).*Padding size"),
    (behind(nn.PixelShuffle(3)), r"1 \(PixelShuffle\)"),
    (behind(nn.Unflatten(1, (3, 2))), r"1 \(Unflatten\)"),
    (behind(nn.Upsample(scale_factor=0.01)), r"1 \(Upsample\)"),
    (behind(nn.BatchNorm2d(5)), r"1 \(BatchNorm2d\) got 1×4×6×6 \(batch first\) but takes 5 channels"),
    (behind(nn.LayerNorm(5)), r"1 \(LayerNorm\).*takes \(5,\) as its last dimensions"),
    (behind(nn.Linear(5, 5)), r"1 \(Linear\).*takes 5 features"),
    (behind(nn.Sequential(nn.LazyConv2d(4, 9))), r"1\.0 \(.*Conv2d\) failed on 1×4×6×6"),
]


@pytest.mark.parametrize(("model", "said"), REFUSED)
def test_a_refusal_names_the_layer(model: nn.Module, said: str) -> None:
    for ask in (trace, audit):
        with pytest.raises(ModelError, match=said) as refusal:
            ask(model, (3, 8, 8))
        assert "\n" not in str(refusal.value)
        assert re.match("trace: |audit: ", str(refusal.value))
