"""``@uc.explain_shapes()``: functions and methods whose errors about sizes are explained."""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unconv as uc
from unconv.errors import UnconvError
from unconv.network.shapes.explain_shapes import ShapeError


class Skip(nn.Module):
    """A decoder that meets its skip connection for even sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(8, 8, kernel_size=2, stride=2)

    @uc.explain_shapes()
    def forward(self, x: Tensor) -> Tensor:
        """Down and up again."""
        skip = self.enter(x)
        joined: Tensor = self.up(self.pool(skip)) + skip
        return joined


class Lightning(nn.Module):
    """What Lightning calls: a step that takes a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 6, 5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1176, 10))

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(x)
        return scores

    @uc.explain_shapes()
    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:  # noqa: ARG002
        """The loss of a batch."""
        x, y = batch
        return F.cross_entropy(self(x), y)


def test_a_forward_is_explained_as_the_context_explains_it() -> None:
    x = torch.zeros(1, 3, 45, 44)
    with pytest.raises(ShapeError) as decorated:
        Skip()(x)
    assert str(decorated.value).startswith("up comes to 44×44 and enter to 45×44; the model joins them (add)")
    assert decorated.value.input_sizes == (((3, 46, 44),), ((3, 44, 44),))
    assert "must match the size of tensor b" in str(decorated.value.__cause__)
    assert Skip()(torch.zeros(1, 3, 44, 44)).shape == (1, 8, 44, 44)
    with pytest.raises(ShapeError, match="up comes to 44×44"), uc.explain_shapes():
        nn.Sequential(nn.Identity(), Skip())(x)


def test_the_step_of_a_training_is_explained() -> None:
    batch = torch.zeros(4, 1, 28, 28), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ShapeError, match=r"net\.3 takes 1176 features and gets 864") as told:
        Lightning().training_step(batch, 0)
    lines = [frame.name for frame in traceback.extract_tb(told.value.__cause__.__traceback__)]  # type: ignore[union-attr]
    assert "training_step" in lines
    good = torch.zeros(4, 1, 32, 32), batch[1]
    assert Lightning().training_step(good, batch_idx=0).ndim == 0


class Restore(nn.Module):
    """An autoencoder whose step itself does what does not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(8, 1, 3, stride=2, padding=1)
        self.calls: list[Tensor] = []

    @uc.explain_shapes()
    def training_step(self, batch: dict[str, Tensor], scale: float = 1.0) -> Tensor:
        """The error of a batch, between modules rather than in one."""
        restored = self.up(self.down(batch["clean"] + batch["noise"]))
        return scale * (restored - batch["clean"]).square().mean()

    @uc.explain_shapes()
    def broken_step(self, batch: Tensor) -> Tensor:
        """Fails by what sizes have nothing to do with, and does more than to compute."""
        self.down(batch)
        self.calls.append(batch)
        raise ValueError("no such column: target")


def test_what_a_step_does_between_modules_is_explained() -> None:
    batch = {"clean": torch.zeros(4, 1, 28, 28), "noise": torch.zeros(4, 1, 28, 28)}
    with pytest.raises(ShapeError) as told:
        Restore().training_step(batch, scale=2.0)
    assert str(told.value).startswith("up comes to 27×27 and the first input to 28×28; the model joins them (sub)")
    assert "output_padding=1" in told.value.fix
    assert Restore().training_step({name: torch.zeros(4, 1, 27, 27) for name in batch}).ndim == 0
    broken = Restore()
    with pytest.raises(ValueError, match="no such column"):
        broken.broken_step(batch["clean"])
    # What sizes have nothing to do with is not called again.
    assert len(broken.calls) == 1


@pytest.mark.parametrize(
    "loss",
    [
        F.mse_loss,
        F.l1_loss,
        F.smooth_l1_loss,
        F.huber_loss,
        F.binary_cross_entropy_with_logits,
        nn.MSELoss(),
        nn.L1Loss(),
    ],
)
def test_the_loss_of_a_step_is_explained(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    class Step(Restore):
        @uc.explain_shapes
        def validation_step(self, batch: Tensor) -> Tensor:
            return loss(self.up(self.down(batch)), batch)

    with warnings.catch_warnings():
        # torch's own, of a target of another size.
        warnings.simplefilter("ignore")
        with pytest.raises(ShapeError, match="up comes to 27×27 and the target to 28×28") as told:
            Step().validation_step(torch.zeros(2, 1, 28, 28))
    assert "output_padding=1" in told.value.fix
    assert torch.isfinite(Step().validation_step(torch.zeros(2, 1, 27, 27)))


def test_brackets_may_be_left_out() -> None:
    @uc.explain_shapes
    def double(x: Tensor) -> Tensor:
        """Twice."""
        return 2 * x

    assert double.__doc__ == "Twice."
    assert double(torch.ones(1)) == 2
    with pytest.raises(UnconvError, match="not the class Skip"):
        uc.explain_shapes(Skip)


class Weighted(nn.Module):
    """A step that is given what is no batch, too."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 1, 2, 2)

    @uc.explain_shapes()
    def training_step(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """The error, with the columns of the map mixed."""
        x, mixing, y = batch
        return (self.up(x) @ mixing - y).square().mean()


def test_what_is_no_batch_is_not_cut() -> None:
    with pytest.raises(ShapeError, match="the third input to 15×16") as told:
        Weighted().training_step((torch.zeros(3, 1, 8, 8), torch.zeros(16, 16), torch.zeros(3, 1, 15, 16)))
    assert "(sub)" in str(told.value)


def test_a_function_keeps_name_documentation_signature_and_other_errors() -> None:
    @uc.explain_shapes()
    def run(model: nn.Module, *, size: int = 28) -> Any:
        """Runs a model."""
        if size < 0:
            raise ValueError("size is negative")
        return model(torch.zeros(1, 1, size, size))

    assert (run.__name__, run.__doc__) == ("run", "Runs a model.")
    assert list(inspect.signature(run).parameters) == ["model", "size"]
    with pytest.raises(ValueError, match="size is negative"):
        run(nn.Identity(), size=-1)
    with pytest.raises(ShapeError, match="takes 1176 features"):
        run(Lightning())
    # A value of the size that torch cannot explain either passes as it is.
    with pytest.raises(RuntimeError, match="expected a float"):
        run(nn.Sequential(nn.Identity(), _Fails()))


class _Fails(nn.Module):
    def forward(self, x: Tensor) -> Tensor:  # noqa: ARG002
        raise RuntimeError("expected a float")


def test_what_is_no_plain_function_is_refused() -> None:
    def values() -> Iterator[int]:
        yield 1

    async def later() -> None:
        return None

    for thing, told in (
        (Skip, "the class Skip"),
        (values, "generator values"),
        (later, "coroutine"),
        (nn.ReLU(), "not ReLU"),
    ):
        with pytest.raises(UnconvError, match=told) as refusal:
            uc.explain_shapes()(thing)  # type: ignore[arg-type]
        assert "\n" not in str(refusal.value)
