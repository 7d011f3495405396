"""What follows a model: losses and joins outside of modules are explained, and every answer, applied, runs."""

from __future__ import annotations

import gc
import re
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unconv as uc
from unconv.network.shapes.explain_shapes import ShapeError
from unconv.network.shapes.tape import LONGEST, Program, Tape, steps_of

Loss = Callable[[Tensor, Tensor], Tensor]


@pytest.fixture(autouse=True)
def _torch_warns() -> Iterator[None]:
    """torch's own warnings, of targets of another size."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Using a target size")
        yield


def restorer(output_padding: int = 0) -> nn.Module:
    """28 cells come out as 27, or as 28."""
    down = nn.Conv2d(1, 8, 3, stride=2, padding=1)
    return nn.Sequential(
        down, nn.ReLU(), nn.ConvTranspose2d(8, 1, 3, 2, 1, output_padding=output_padding), nn.Sigmoid()
    )


def dice(output: Tensor, target: Tensor) -> Tensor:
    overlap = (output * target).sum((1, 2, 3))
    return 1 - (2 * overlap / (output.sum((1, 2, 3)) + target.sum((1, 2, 3)))).mean()


COMPARED: dict[str, Loss] = {
    "mse": F.mse_loss,
    "MSELoss": nn.MSELoss(),
    "l1": F.l1_loss,
    "SmoothL1Loss": nn.SmoothL1Loss(),
    "huber": F.huber_loss,
    "bce": F.binary_cross_entropy,
    "BCEWithLogitsLoss": nn.BCEWithLogitsLoss(),
    "poisson": F.poisson_nll_loss,
    "gaussian": lambda output, target: F.gaussian_nll_loss(output, target, torch.ones_like(target)),
    "labels": lambda output, target: nn.MultiLabelSoftMarginLoss()(output, target),
    "hinge": nn.HingeEmbeddingLoss(),
    "lerp": lambda output, target: torch.lerp(output, target, 0.5).mean(),
    "kl_div": lambda output, target: F.kl_div(output.log(), target, reduction="batchmean"),
    "by hand": lambda output, target: (output - target).square().mean(),
    "keywords": lambda output, target: nn.L1Loss()(target=target, input=output),
    "dice": dice,
    "in place": lambda output, target: output.mul_(2).sub_(target).abs().sum(),
    "without gradients": torch.no_grad()(F.mse_loss),
}


@pytest.mark.parametrize("name", COMPARED)
def test_a_model_that_misses_its_target_by_a_cell(name: str) -> None:
    target = torch.rand(3, 1, 28, 28)
    model = restorer()
    sizes = "27×27 and the (target|second input|input) to 28×28"
    with pytest.raises(ShapeError, match=sizes) as told, uc.explain_shapes():
        COMPARED[name](model(torch.rand(3, 1, 28, 28)), target)
    assert "output_padding=1" in told.value.fix
    assert "o′ = 2·(14 − 1) + 3 − 2·1 = 27" in str(told.value)
    assert isinstance(told.value.__cause__, (RuntimeError, ValueError))
    assert torch.isfinite(COMPARED[name](restorer(1)(torch.rand(3, 1, 28, 28)), target))


def scores(*size: int, classes: int = 5) -> Callable[[], Tensor]:
    return lambda: nn.Conv2d(3, classes, 1)(torch.rand(2, 3, *size))


# Name: output, target, loss, what is told and proposed, and the proposal applied.
SHAPES: dict[str, tuple[Callable[[], Tensor], Tensor, Loss, str, str, Loss]] = {
    "a mask without a channel": (
        *(scores(8, 6, classes=1), torch.ones(2, 8, 6), F.binary_cross_entropy_with_logits),
        *("1×8×6 and the target 8×6", "target[:, None]"),
        lambda output, target: F.binary_cross_entropy_with_logits(output, target[:, None]),
    ),
    "a mask of integers without a channel": (
        *(scores(8, 6, classes=1), torch.ones(2, 8, 6, dtype=torch.int64), lambda o, t: nn.BCEWithLogitsLoss()(o, t)),
        *("1×8×6 and the target 8×6", "target[:, None]"),
        lambda output, target: F.binary_cross_entropy_with_logits(output, target[:, None].float()),
    ),
    "a mask without a channel and of another size": (
        *(scores(8, 6, classes=1), torch.ones(2, 16, 12), nn.BCEWithLogitsLoss(), "8×6 and the target to 16×12"),
        "target[:, None] and F.interpolate(output, size=target.shape[2:])",
        lambda output, target: F.binary_cross_entropy_with_logits(
            F.interpolate(output, size=target[:, None].shape[2:]), target[:, None]
        ),
    ),
    "an output without a channel": (
        *(lambda: scores(8, 6, classes=1)()[:, 0], torch.ones(2, 1, 8, 6), nn.BCEWithLogitsLoss()),
        *("8×6 and the target 1×8×6", "output[:, None]"),
        lambda output, target: F.binary_cross_entropy_with_logits(output[:, None], target),
    ),
    "numbers of classes with a channel": (
        *(scores(8, 6), torch.ones(2, 1, 8, 6, dtype=torch.long), F.cross_entropy, "5×8×6 and the target 1×8×6"),
        *("target[:, 0]", lambda output, target: F.cross_entropy(output, target[:, 0])),
    ),
    "classes in the last axis": (
        *(lambda: scores(8, 6)().permute(0, 2, 3, 1), torch.ones(2, 8, 6, dtype=torch.long), nn.CrossEntropyLoss()),
        *("8×6×5 and the target 8×6", "output.permute(0, 3, 1, 2)"),
        lambda output, target: F.cross_entropy(output.permute(0, 3, 1, 2), target),
    ),
    "classes over smaller pictures": (
        *(scores(8, 6), torch.ones(2, 16, 12, dtype=torch.long), F.cross_entropy, "8×6 and the target to 16×12"),
        "F.interpolate(output, size=target.shape[1:])",
        lambda output, target: F.cross_entropy(F.interpolate(output, size=target.shape[1:]), target),
    ),
    "log probabilities over smaller pictures": (
        *(lambda: scores(8, 6)().log_softmax(1), torch.ones(2, 8, 12, dtype=torch.long), nn.NLLLoss()),
        *("8×6 and the target to 8×12", "F.interpolate(output, size=target.shape[1:])"),
        lambda output, target: F.nll_loss(F.interpolate(output, size=target.shape[1:]), target),
    ),
    "a batch that was lost": (
        *(lambda: nn.Linear(12, 5)(scores(4, 6, classes=2)().reshape(-1, 12)), torch.ones(2, dtype=torch.long)),
        *(F.cross_entropy, "8×5 and the target 2", "keep the batch in front"),
        lambda _, target: F.cross_entropy(nn.Linear(48, 5)(scores(4, 6, classes=2)().flatten(1)), target),
    ),
    "one number against none": (
        *(
            lambda: nn.Linear(3, 1)(torch.rand(4, 3)),
            torch.ones(4),
            nn.BCEWithLogitsLoss(),
            "1 and the target one number",
        ),
        *("target[:, None], or output[:, 0]", lambda output, target: F.mse_loss(output[:, 0], target)),
    ),
    "two numbers against one class": (
        *(lambda: nn.Linear(3, 2)(torch.rand(4, 3)), torch.ones(4), F.binary_cross_entropy_with_logits),
        *("2 and the target one number", "F.cross_entropy(output, target.long())"),
        lambda output, target: F.cross_entropy(output, target.long()),
    ),
    "one-hot classes of whole numbers": (
        *(lambda: nn.Linear(3, 5)(torch.rand(4, 3)), F.one_hot(torch.arange(4), 5), F.cross_entropy),
        *("5 and the target 5", "target.argmax(1)", lambda output, target: F.cross_entropy(output, target.argmax(1))),
    ),
    "classes in a column": (
        *(lambda: nn.Linear(3, 5)(torch.rand(4, 3)), torch.ones(4, 1, dtype=torch.long), F.cross_entropy),
        *("5 and the target 1", "target[:, 0]", lambda output, target: F.cross_entropy(output, target[:, 0])),
    ),
    "words in one row": (
        *(lambda: nn.Linear(3, 5)(torch.rand(4, 7, 3)), torch.ones(28, dtype=torch.long), nn.CrossEntropyLoss()),
        *("4×7×5 and the target 28", "output.flatten(0, -2)"),
        lambda output, target: F.cross_entropy(output.flatten(0, -2), target),
    ),
    "places in one row": (
        *(scores(8, 6), torch.ones(96, dtype=torch.long), nn.CrossEntropyLoss(), "2×5×8×6 and the target 96"),
        "output.movedim(1, -1).flatten(0, -2)",
        lambda output, target: F.cross_entropy(output.movedim(1, -1).flatten(0, -2), target),
    ),
    "another batch": (
        *(lambda: nn.Linear(3, 5)(torch.rand(4, 3)), torch.ones(3, dtype=torch.long), nn.CrossEntropyLoss()),
        *("4×5 and the target 3", "a target of the same batch: 4 went in, and the target has 3"),
        lambda output, target: F.cross_entropy(output[:3], target),
    ),
    "colours of classes": (
        *(scores(8, 6), torch.ones(2, 8, 6, 3, dtype=torch.long), nn.CrossEntropyLoss()),
        *("5×8×6 and the target 8×6×3", "target.argmax(-1) where it is one-hot"),
        lambda output, target: F.cross_entropy(output, target.argmax(-1)),
    ),
    "several numbers for each label": (
        *(lambda: nn.Conv2d(3, 1, 4)(torch.rand(4, 3, 8, 8)).view(-1), torch.ones(4), nn.BCEWithLogitsLoss()),
        *("100 and the target 4", "output.reshape(len(target), -1).mean(1)"),
        lambda output, target: F.binary_cross_entropy_with_logits(output.reshape(len(target), -1).mean(1), target),
    ),
    "pictures of colours against one channel": (
        *(scores(8, 6, classes=1), torch.ones(2, 3, 8, 6), F.binary_cross_entropy_with_logits),
        *("1×8×6 and the target 3×8×6", "3 channels in the last layer, which has 1"),
        lambda _, target: F.mse_loss(scores(8, 6, classes=3)(), target),
    ),
    "a target with channels last": (
        *(scores(8, 6, classes=3), torch.ones(2, 8, 6, 3), F.binary_cross_entropy_with_logits),
        *("3×8×6 and the target 8×6×3", "target.permute(0, 3, 1, 2)"),
        lambda output, target: F.mse_loss(output, target.permute(0, 3, 1, 2)),
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_target_of_another_kind(name: str) -> None:
    make, target, loss, told, fix, mended = SHAPES[name]
    with pytest.raises(ShapeError, match=re.escape(told)) as error, uc.explain_shapes():
        loss(make(), target)
    assert fix in error.value.fix
    assert torch.isfinite(mended(make(), target))


def test_several_modules_have_the_names_of_their_variables() -> None:
    encoder, decoder = nn.Conv2d(1, 4, 3, 2, 1), nn.ConvTranspose2d(4, 1, 3, 2, 1)
    x = torch.rand(2, 1, 28, 30)
    with pytest.raises(ShapeError, match="decoder comes to 27×29 and the input to 28×30") as told, uc.explain_shapes():
        torch.cat([decoder(encoder(x)), x], 1)
    assert "encoder (conv)" in str(told.value)
    assert "output_padding=1" in told.value.fix


def test_a_decorated_function_is_a_context() -> None:
    @uc.explain_shapes
    def step(model: nn.Module, x: Tensor) -> Tensor:
        return (model(x) - x).abs().mean()

    with pytest.raises(ShapeError, match="27×27 and the input to 28×28"):
        step(restorer(), torch.rand(2, 1, 28, 28))
    assert step(restorer(1), torch.rand(2, 1, 28, 28)) > 0


@pytest.mark.parametrize(
    ("error", "run"),
    [
        ("double", lambda model, x: model(x.double())),
        ("Half|dtype|same", lambda model, x: F.linear(model(x), torch.rand(3, 28, dtype=torch.float16))),
        ("no such column", lambda model, x: _raises(model(x))),
        ("meta", lambda model, x: model(x) - torch.rand(1, 1, 28, 28, device="meta")),
    ],
)
def test_errors_of_other_kinds_pass(error: str, run: Callable[[nn.Module, Tensor], object]) -> None:
    with pytest.raises(Exception, match=error) as told, uc.explain_shapes():
        run(restorer(1), torch.rand(2, 1, 28, 28))
    assert not isinstance(told.value, ShapeError)


def _raises(_: Tensor) -> None:
    raise ValueError("no such column: target")


def test_a_tape_holds_no_tensor_that_nothing_else_holds() -> None:
    model = nn.Conv2d(1, 2, 3)
    with Tape() as tape:
        x = torch.rand(1, 1, 8, 8)
        middle = model(x) * 2
        seen = weakref.ref(middle)
        y = middle.detach() + 1
        del middle
        gc.collect()
        assert seen() is None
        assert len(list(steps_of(tape.step_of(y)))) == 4
        mean = torch.zeros(())
        for _ in range(3 * LONGEST):
            mean = 0.9 * mean + 0.1 * y.mean()
        assert len(list(steps_of(tape.step_of(mean)))) <= 3 * LONGEST


def test_what_a_tape_holds_comes_out_the_same_again() -> None:
    model, x, scale = nn.Linear(3, 2), torch.rand(4, 3), torch.rand(2)
    with Tape() as tape:
        y = model(x).mul_(scale)
        z = torch.stack([y.T, *y.split(1, 0)[0].expand(2, 4, 2).mT], 0)[0].relu()
    program = Program(tuple(steps_of(tape.step_of(z))))
    assert program.modules == (model,)
    assert {id(one) for one in program.inputs} >= {id(x), id(scale)}
    assert torch.equal(program.run(*program.inputs)[0], z)


def test_contexts_in_contexts_and_other_threads() -> None:
    told: list[str] = []
    context = uc.explain_shapes()

    def other() -> None:
        with uc.explain_shapes():
            for _ in range(20):
                restorer(1)(torch.rand(1, 1, 28, 28))

    threads = [threading.Thread(target=other) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        x = torch.rand(1, 1, 28, 28)
        with pytest.raises(ShapeError) as error, context, context:
            F.l1_loss(restorer()(x), x)
        told.append(str(error.value))
    for thread in threads:
        thread.join()
    assert len(set(told)) == 1
    assert "27×27 and the target to 28×28" in told[0]
