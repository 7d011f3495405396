"""FCN as published: counts, sizes, crops, VGG-16's weights, stages, and against a plain transcript in torch."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import vgg16

import unconv as uc
from tests.models import decoding
from unconv.errors import ModelError
from unconv.models.fcn import FCN
from unconv.models.transfer_weights import carry_over, vgg16_to_fcn

SMALL = {"channels": (4, 6, 8, 8, 8), "hidden": 16}


def small(stride: int, classes: int = 3, learned: bool = True) -> FCN:
    torch.manual_seed(0)
    model = FCN(stride, classes, learned=learned, **SMALL)
    decoding.randomise_scores(model)
    return model.eval()


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("learned", [True, False])
def test_parameters_are_those_of_the_layer_table(learned: bool) -> None:
    with torch.device("meta"):
        classifier = vgg16()
        models = {stride: FCN(stride, learned=learned) for stride in (32, 16, 8)}
    body = count(classifier) - count(classifier.classifier[6])
    scores = {32: 4096 * 21 + 21, 16: 512 * 21 + 21, 8: 256 * 21 + 21}
    kernels = {32: [64], 16: [4, 32], 8: [4, 4, 16]}
    for stride, model in models.items():
        scored = sum(number for at, number in scores.items() if at >= stride)
        upscaling = sum(21 * 21 * k * k for k in kernels[stride]) if learned else 0
        assert count(model) == body + scored + upscaling


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_scores_have_the_size_of_the_picture(stride: int) -> None:
    decoding.assert_meets(lambda: FCN(stride, 5), 17, 5)


@pytest.mark.parametrize(("stride", "size"), [(32, (17, 90)), (16, (101, 64)), (8, (75, 18))])
def test_it_is_its_transcript_in_plain_torch(stride: int, size: tuple[int, int]) -> None:
    model, x = small(stride).double(), torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(model(x), transcript(model, stride, x))


def transcript(model: FCN, stride: int, x: Tensor) -> Tensor:
    """The authors' prototxt, line by line."""
    state, (height, width) = model.state_dict(), x.shape[2:]

    def conv(x: Tensor, name: str, padding: int = 0) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    pools = []
    y = x
    for stage, steps in enumerate((2, 2, 3, 3, 3), start=1):
        for step in range(1, steps + 1):
            y = F.relu(conv(y, f"features.conv{stage}_{step}", 100 if (stage, step) == (1, 1) else 1))
        y = F.max_pool2d(y, 2, 2, ceil_mode=True)
        pools.append(y)
    y = F.relu(conv(F.relu(conv(y, "fc6")), "fc7"))
    y = conv(y, "score_fr")
    if stride == 32:
        y = F.conv_transpose2d(y, state["upscore.weight"], stride=32)
        return y[:, :, 19 : 19 + height, 19 : 19 + width]
    y = F.conv_transpose2d(y, state["upscore2.weight"], stride=2)
    y = y + conv(pools[3], "score_pool4")[:, :, 5 : 5 + y.shape[2], 5 : 5 + y.shape[3]]
    if stride == 16:
        y = F.conv_transpose2d(y, state["upscore16.weight"], stride=16)
        return y[:, :, 27 : 27 + height, 27 : 27 + width]
    y = F.conv_transpose2d(y, state["upscore_pool4.weight"], stride=2)
    y = y + conv(pools[2], "score_pool3")[:, :, 9 : 9 + y.shape[2], 9 : 9 + y.shape[3]]
    y = F.conv_transpose2d(y, state["upscore8.weight"], stride=8)
    return y[:, :, 31 : 31 + height, 31 : 31 + width]


def middle(graph: uc.network.Graph, name: str) -> Fraction:
    """The pixel that unit 0 of a layer is centred on."""
    (axis, _) = graph[name].receptive_field.axes
    return Fraction(axis.starts[0] + axis.stops[0], 2)


def test_published_crops_follow_from_the_receptive_fields() -> None:
    graph = uc.trace(small(8), (3, 64, 64))
    coarse, pool4, pool3 = (middle(graph, name) for name in ("fc7", "features.pool4", "features.pool3"))
    # A kernel of 2s taps puts unit q of a grid of step s·t at cell s·q + s − 1/2 of a grid of step t.
    after2 = coarse - 16 * Fraction(3, 2)
    after4 = after2 - 8 * Fraction(3, 2)
    assert (after2 - pool4) / 16 == 5
    # Both were cropped to the same cells, so the sum lies where the coarse scores do.
    assert (after4 - pool3) / 8 == 9
    pixel = Fraction(1, 2)
    assert pixel - (coarse - Fraction(63, 2)) == 19
    assert pixel - (after2 - Fraction(31, 2)) == 27
    assert pixel - (after4 - Fraction(15, 2)) == 31


def test_vgg16s_weights_give_vgg16s_maps() -> None:
    torch.manual_seed(0)
    theirs = vgg16().eval()
    with torch.device("meta"):
        model = FCN(32)
    model.load_state_dict({**model.state_dict(), **vgg16_to_fcn(theirs.state_dict())}, assign=True)
    model.eval().features.conv1_1.padding = (1, 1)
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        maps = theirs.features(x)
        torch.testing.assert_close(model.features(x), maps, rtol=1e-4, atol=1e-5)
        *_, fc7 = model.maps(x)
        expected = theirs.classifier[:6](theirs.avgpool(maps).flatten(1))
    assert fc7.shape == (1, 4096, 1, 1)
    torch.testing.assert_close(fc7.flatten(1), expected, rtol=1e-4, atol=1e-5)


def test_begins_from_vgg16s_own_file() -> None:
    torch.manual_seed(0)
    model, theirs = FCN(32, 3, hidden=8), vgg16().features.state_dict()
    state = {f"features.{name}": torch.randn(value.shape) for name, value in theirs.items()}
    state |= {"classifier.0.weight": torch.randn(8, 512 * 49), "classifier.0.bias": torch.randn(8)}
    state |= {"classifier.3.weight": torch.randn(8, 8), "classifier.3.bias": torch.randn(8)}
    new = carry_over(model, {**state, "classifier.6.bias": torch.zeros(1000)})
    assert {name.partition(".")[0] for name in new} == {"score_fr", "upscore"}
    assert torch.equal(model.features.conv5_3.weight, state["features.28.weight"])
    assert torch.equal(model.fc7.bias, state["classifier.3.bias"])


def far(found: Tensor, expected: Tensor) -> float:
    return float(((found - expected).norm() / expected.norm()).detach())


def test_stages_go_on_from_one_another() -> None:
    coarse, finer, finest = small(32), FCN(16, 3, **SMALL).eval(), FCN(8, 3, **SMALL).eval()
    ramp = torch.linspace(-1, 1, 96).expand(1, 3, 96, 96)
    assert carry_over(finer, coarse.state_dict()) == (
        "upscore2.weight",
        "score_pool4.weight",
        "score_pool4.bias",
        "upscore16.weight",
    )
    # Interpolating twice is nearly interpolating once; the new scores are zero.
    assert far(finer(ramp), coarse(ramp)) < 0.1
    new = carry_over(finest, finer.state_dict())
    assert set(new) == {"upscore_pool4.weight", "score_pool3.weight", "score_pool3.bias", "upscore8.weight"}
    assert far(finest(ramp), finer(ramp)) < 0.1
    for name, tensor in finest.state_dict().items():
        if name in coarse.state_dict():
            assert torch.equal(tensor, coarse.state_dict()[name])


def test_fixed_and_learned_begin_alike() -> None:
    learned, fixed = small(8), FCN(8, 3, learned=False, **SMALL).eval()
    state = {name: tensor for name, tensor in learned.state_dict().items() if not name.startswith("upscore")}
    assert all(name.startswith("upscore") for name in carry_over(fixed, state))
    x = torch.randn(1, 3, 40, 50)
    torch.testing.assert_close(fixed(x), learned(x))
    assert not any(name.startswith("upscore") for name, _ in fixed.named_parameters())
    assert len([name for name, _ in learned.named_parameters() if name.startswith("upscore")]) == 3


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("stride", [32, 16, 8])
def test_it_learns_and_is_one_graph(stride: int, learned: bool) -> None:
    model, x = small(stride, learned=learned), torch.randn(2, 3, 33, 47)
    decoding.assert_one_graph(model, x)
    decoding.assert_trains(model, x, 3)


def test_what_does_not_fit_is_refused_in_a_line() -> None:
    with pytest.raises(ModelError, match="fcn: stride 4 is none of 32, 16, 8"):
        FCN(4)
    with pytest.raises(ModelError, match=r"score_fr.weight is \(5, 16, 1, 1\), the network's \(3, 16, 1, 1\)"):
        carry_over(FCN(16, 3, **SMALL), FCN(32, 5, **SMALL).state_dict())
    with pytest.raises(ModelError, match=r"28 tensors are not there \(features.conv1_1.weight, .*, …\); only layers"):
        carry_over(FCN(16, 3, **SMALL), {"fc6.weight": FCN(16, 3, **SMALL).fc6.weight, "fc7.bias": torch.zeros(16)})
