"""What every decoder has to do, asked of one network after another."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import jaxtyping
import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sizes(least: int, most: int = 300) -> Iterable[tuple[int, int]]:
    """Every height once and every width once, small with large, odd with even and odd with odd."""
    count = most - least + 1
    for n in range(count):
        yield least + n, least + (2 * n + (n >= count // 2) * (count % 2 == 0)) % count


def assert_meets(make: Callable[[], nn.Module], least: int, classes: int, channels: int = 3, step: int = 1) -> None:
    """Scores have the picture's size for every height and every width, not square; or for every so manieth."""
    with torch.device("meta"):
        model = make().eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.ReLU | nn.ReLU6):
                # They keep sizes, and on the meta device take most of the time.
                module.forward = nn.Identity().forward  # type: ignore[method-assign]
        for height, width in list(sizes(least))[::step]:
            assert model(torch.zeros(1, channels, height, width)).shape == (1, classes, height, width)


def randomise_scores(model: nn.Module) -> None:
    """Layers that begin at zero, elsewhere."""
    with torch.no_grad():
        for parameter in model.parameters():
            if not bool(parameter.any()):
                parameter.normal_(0, 0.1)


def assert_trains(model: nn.Module, x: Tensor, classes: int, rate: float = 1e-2) -> None:
    """Gradients reach every parameter, and some steps lower the loss."""
    torch.manual_seed(0)
    target = (x[:, 0] > 0).long() % classes
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    model.train()
    optimiser = torch.optim.Adam(model.parameters(), rate)
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0], losses
    dead = [n for n, one in model.named_parameters() if one.grad is None or not bool(one.grad.any())]
    assert dead == []


@contextmanager
def unwatched() -> Iterator[None]:
    """Without the checks of shapes, which are there in tests alone, and which torch.compile cannot see through."""
    # What was compiled of other networks counts against the same limit.
    torch._dynamo.reset()
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def assert_one_graph(model: nn.Module, x: Tensor) -> None:
    """Compiled, exported, copied, reloaded and in bfloat16 it scores the same."""
    model = model.eval()
    with torch.no_grad():
        expected = model(x)
        assert bool(expected.std() > 0)
        with unwatched():
            compiled = torch.compile(copy.deepcopy(model), fullgraph=True, backend="eager")(x)
            exported = torch.export.export(model, (x,)).module()
        torch.testing.assert_close(compiled, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(exported(x), expected, rtol=1e-4, atol=1e-5)
        twin = copy.deepcopy(model)
        for parameter in twin.parameters():
            parameter.zero_()
        assert not bool(twin(x).any())
        torch.testing.assert_close(model(x), expected, rtol=0, atol=0)
        twin.load_state_dict(model.state_dict())
        torch.testing.assert_close(twin(x), expected, rtol=1e-5, atol=1e-6)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(x)
        assert float((half.float() - expected).norm() / expected.norm()) < 0.05
