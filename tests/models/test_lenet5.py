"""LeNet-5 is the one of 1998: its counts, its connection table, its arithmetic, its patterns, and that it learns."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from scipy.signal import correlate2d
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import unconv as uc
from unconv.data.fashion import fashion
from unconv.errors import ModelError
from unconv.models.lenet5 import BITMAPS, LeNet5, Squash, Subsampling, map_loss, patterns
from unconv.models.load.resolve import load_model, untrained_model
from unconv.network.windows import windows_of
from unconv.train.data.examples import TensorExamples
from unconv.train.loop.loop import Settings, fit
from unconv.train.tasks.classify import scores

# As published, written again: map of C3, colon, maps of S2.
TABLE = "0:012 1:123 2:234 3:345 4:045 5:015 6:0123 7:1234 8:2345 9:0345 10:0145 11:0125 12:0134 13:1245 14:0235"
TABLE = {int(one): {int(map) for map in maps} for one, maps in (p.split(":") for p in (TABLE + " 15:012345").split())}
COUNTS = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48120, "f6": 10164}


@pytest.fixture(scope="module")
def network() -> LeNet5:
    return untrained_model("lenet5", 10).module.double()


def layers(network: LeNet5) -> dict[str, torch.nn.Module]:
    return dict([*network.features.named_children(), *network.classifier.named_children()])


def trainable(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def test_parameters_are_the_published_ones(network: LeNet5) -> None:
    counted = {name: trainable(layer) for name, layer in layers(network).items() if trainable(layer)}
    assert counted == COUNTS
    assert trainable(network) == 60_000
    audit = uc.audit(network, (1, 32, 32), measure=False)
    assert audit.parameters == 60_000
    assert not audit.findings


def test_maps_of_c3_depend_on_the_maps_of_the_table_and_on_no_other(network: LeNet5) -> None:
    c3 = layers(network)["c3"]
    x = torch.rand(1, 6, 14, 14, dtype=torch.float64, requires_grad=True)
    for number, maps in TABLE.items():
        (gradient,) = torch.autograd.grad(c3(x)[0, number].square().sum(), x)
        assert set(gradient[0].abs().sum((1, 2)).nonzero().flatten().tolist()) == maps
    assert len(TABLE) == 16


def test_every_kernel_of_c3_is_of_one_map(network: LeNet5) -> None:
    c3 = layers(network)["c3"]
    for number in range(16):
        value = c3(torch.rand(1, 6, 14, 14, dtype=torch.float64))[0, number].sum()
        (gradient,) = torch.autograd.grad(value, c3.weight)
        moved = gradient.abs().sum((1, 2)) > 0
        assert int(moved.sum()) == len(TABLE[number])


def test_scores_are_those_of_the_paper_computed_map_by_map(network: LeNet5) -> None:
    """Section II.B with a loop over maps and scipy's correlation."""
    images = torch.rand(2, 1, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    parts = layers(network)
    value = {name: dict(part.named_parameters()) for name, part in parts.items()}
    arrays = {(name, key): one.detach().numpy() for name, held in value.items() for key, one in held.items()}

    def squash(a):
        return 1.7159 * np.tanh(2 / 3 * a)

    def convolved(maps, kernels, bias, table):
        kernels = iter(kernels)
        return np.stack(
            [
                squash(sum(correlate2d(maps[n], next(kernels), "valid") for n in sorted(table[o])) + bias[o])
                for o in range(len(bias))
            ]
        )

    def sampled(maps, weight, bias):
        count, rows, columns = maps.shape
        blocks = maps.reshape(count, rows // 2, 2, columns // 2, 2)
        return squash(blocks.sum((2, 4)) * weight[:, None, None] + bias[:, None, None])

    def one(image):
        full = [range(6), range(16)]
        c1 = convolved(image, arrays["c1", "weight"].reshape(-1, 5, 5), arrays["c1", "bias"], [[0]] * 6)
        s2 = sampled(c1, arrays["s2", "weight"], arrays["s2", "bias"])
        c3 = convolved(s2, arrays["c3", "weight"], arrays["c3", "bias"], TABLE)
        s4 = sampled(c3, arrays["s4", "weight"], arrays["s4", "bias"])
        c5 = convolved(s4, arrays["c5", "weight"].reshape(-1, 5, 5), arrays["c5", "bias"], [full[1]] * 120)
        f6 = squash(arrays["f6", "weight"] @ c5.ravel() + arrays["f6", "bias"])
        return [-sum((f6[j] - pattern[j]) ** 2 for j in range(84)) for pattern in patterns().double().numpy()]

    expected = np.array([one(image.numpy()) for image in images])
    assert np.allclose(network(images).detach().numpy(), expected, rtol=1e-10, atol=1e-10)


def test_sizes_and_fields_follow_the_figure(network: LeNet5) -> None:
    graph = uc.trace(network, (1, 32, 32))
    names = [f"features.{name}" for name in ("c1", "s2", "c3", "s4")] + ["classifier.c5"]
    assert [graph.value_of(name).shape[2:] for name in names] == [(28, 28), (14, 14), (10, 10), (5, 5), (1, 1)]
    assert [graph.value_of(name).field.axes[0].size for name in names] == [5, 6, 14, 16, 32]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))
def test_subsampling_is_four_times_the_mean(channels: int, height: int, width: int) -> None:
    layer, x = Subsampling(channels).double(), torch.rand(2, channels, 2 * height, 2 * width, dtype=torch.float64)
    mean = torch.nn.AvgPool2d(2)(x)
    expected = torch.stack([4 * mean[:, n] * layer.weight[n] + layer.bias[n] for n in range(channels)], 1)
    assert torch.allclose(layer(x), expected, rtol=1e-12)


def test_squashing_passes_one_and_bends_most_there() -> None:
    x = torch.linspace(0, 2, 2001, dtype=torch.float64, requires_grad=True)
    y = Squash()(x)
    assert float(y.detach()[1000]) == pytest.approx(1, abs=1e-4)
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x)
    assert float(x.detach()[bend.argmin()]) == pytest.approx(1, abs=0.02)


def test_digits_are_drawn_in_seven_by_twelve_cells() -> None:
    rows = BITMAPS.strip().splitlines()
    assert len(rows) == 12
    assert all(len(part) == 7 and set(part) <= {".", "#"} for row in rows for part in row.split())
    assert all(len(row.split()) == 10 for row in rows)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40))
def test_patterns_are_signs_far_from_one_another_and_not_trained(classes: int) -> None:
    drawn = patterns(classes)
    assert drawn.shape == (classes, 84)
    assert set(drawn.flatten().tolist()) == {-1.0, 1.0}
    apart = (drawn[:, None] != drawn).sum(-1) + 84 * torch.eye(classes)
    assert int(apart.min()) >= 15
    assert torch.equal(patterns(classes), drawn)
    model = LeNet5(classes)
    assert trainable(model) == 60_000
    assert model(torch.zeros(3, 1, 32, 32)).shape == (3, classes)


def test_weights_of_another_number_of_classes_bring_their_patterns(tmp_path) -> None:
    for classes in (4, 26):
        torch.save(LeNet5(classes).state_dict(), tmp_path / "w.pth")
        loaded = load_model("lenet5", weights=tmp_path / "w.pth")
        assert torch.equal(loaded.module.classifier.output.patterns, patterns(classes))


def test_first_weights_are_spread_as_in_the_paper() -> None:
    fan_in = {"c1": [25] * 6, "s2": [4] * 6, "s4": [4] * 16, "c5": [400] * 120, "f6": [120] * 84}
    for name, layer in layers(LeNet5()).items():
        if name in fan_in:
            pairs = zip(layer.weight.detach().reshape(len(fan_in[name]), -1), fan_in[name], strict=True)
            spread = torch.cat([weights * inputs for weights, inputs in pairs])
        elif name == "c3":
            spread = torch.cat([one.flatten() * 25 * len(TABLE[number]) for number, one in of_map(layer.weight)])
        else:
            continue
        assert float(spread.abs().max()) <= 2.4 * (1 + 1e-6)
        if len(spread) > 100:
            # A uniform number has a standard deviation of its half range by √3.
            assert float(spread.std()) == pytest.approx(2.4 / 3**0.5, rel=0.1)


def of_map(weight):
    kernels = iter(weight.detach())
    return [(number, next(kernels)) for number, maps in TABLE.items() for _ in maps]


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.floats(0.1, 200), st.integers(0, 99))
def test_map_criterion_is_equation_nine(classes: int, rubbish: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    distances = 50 * torch.rand(5, classes, dtype=torch.float64, generator=generator)
    targets = torch.randint(classes, (5,), generator=generator)
    found = map_loss(-distances, targets, rubbish)
    for row, target, loss in zip(distances.numpy(), targets, found, strict=True):
        assert float(loss) == pytest.approx(row[target] + logsumexp(np.append(-row, -rubbish)), abs=1e-9)
    unbounded = torch.nn.functional.cross_entropy(-distances, targets, reduction="none")
    assert torch.allclose(map_loss(-distances, targets, 1e6), unbounded)
    assert bool((found >= unbounded).all())


def test_map_criterion_leaves_classes_that_are_far_away_alone() -> None:
    given = torch.tensor([[-1.0, -40.0]], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(map_loss(given, torch.tensor([0]), rubbish=5.0).sum(), given)
    (bare,) = torch.autograd.grad(map_loss(given, torch.tensor([0]), rubbish=1e6).sum(), given)
    assert abs(float(gradient[0, 1])) < 1e-16
    assert float(gradient[0, 0]) < -0.01 < float(bare[0, 0])


@pytest.mark.parametrize("size", [(8, 8), (16, 15), (28, 28), (32, 36), (36, 36)])
def test_other_sizes_are_refused_in_one_line(size: tuple[int, int]) -> None:
    told = f"lenet5: input {size[0]}x{size[1]}; it tells classes apart at 32x32 only"
    with pytest.raises(ModelError, match=told):
        LeNet5()(torch.zeros(1, 1, *size))
    with pytest.raises(ModelError, match="lenet5: 0 classes"):
        LeNet5(0)


def test_without_weights_it_says_where_to_get_some() -> None:
    told = r"random_weights=True .* unconv train classify --model lenet5 makes some"
    with pytest.raises(ModelError, match=told) as caught:
        load_model("lenet5")
    assert "\n" not in str(caught.value)


def test_pictures_are_framed_in_paper() -> None:
    preprocess = untrained_model("lenet5", 10).preprocess
    picture = torch.rand(1, 28, 28)
    seen = preprocess(picture)[0]
    assert torch.allclose(seen[:, 2:30, 2:30], picture * 1.275 - 0.1, atol=1e-6)
    frame = seen.clone()
    frame[:, 2:30, 2:30] = -0.1
    assert torch.allclose(frame, torch.full((1, 32, 32), -0.1), atol=1e-6)


def test_projections_say_that_there_is_nothing_to_reverse() -> None:
    model = untrained_model("lenet5", 10).module
    projection = uc.project(model, torch.rand(2, 1, 32, 32), layer="features.c3", unit=3)
    assert projection.image.shape == (2, 1, 32, 32)
    assert projection.coverage.total == projection.coverage.switches == 0
    assert projection.coverage.passed == {"tanh": 2}
    assert "0 of 0 rectifiers reversed" in projection.coverage.sentence
    assert "without a deconvnet meaning, by their own gradient: tanh ×2" in projection.coverage.sentence


def test_a_report_is_made_of_it_by_the_guided_rule(tmp_path) -> None:
    loaded = untrained_model("lenet5", 10)
    report = uc.see(loaded, torch.rand(2, 1, 28, 28), layers=["features.c1", "features.c3"], out=tmp_path, fidelity=0)
    assert report.rule == "guided"
    assert (tmp_path / "index.html").stat().st_size > 1000


def test_windows_show_what_the_whole_picture_does(network: LeNet5) -> None:
    images = torch.rand(2, 1, 32, 32, dtype=torch.float64)
    graph = uc.trace(network, (1, 32, 32))
    for layer, position in (("features.c1", (0, 27)), ("features.s2", (7, 3)), ("features.c3", (4, 9))):
        whole = uc.project(network, images, layer, unit=3, position=position)
        picks = [uc.visualize.Pick(image, 3, position) for image in range(2)]
        found = uc.visualize.project_units(network, images, windows_of(graph, layer), picks)
        assert all(torch.allclose(found.whole(n), whole.image[n], rtol=1e-9, atol=1e-12) for n in range(2))


def by_map_criterion(outputs, targets):
    return scores(outputs, targets, 10) | {"loss": map_loss(outputs, targets, rubbish=10.0)}


def test_it_learns_digits_by_the_papers_criterion() -> None:
    digits = load_digits()
    loaded = untrained_model("lenet5", 10)
    images = torch.stack([loaded.preprocess(image)[0] for image in torch.tensor(digits.images[:, None] / 16)])
    labels = torch.tensor(digits.target)
    learn, hold = train_test_split(np.arange(len(labels)), test_size=0.25, stratify=digits.target, random_state=0)
    fitted = fit(
        loaded.module,
        by_map_criterion,
        TensorExamples(images[learn], labels[learn]),
        TensorExamples(images[hold], labels[hold]),
        Settings(epochs=8, batch_size=32),
    )
    assert fitted.history[-1].held_out["accuracy"] > 0.95


def test_it_learns_clothes_by_the_cross_entropy() -> None:
    loaded = untrained_model("lenet5", 10)
    images, labels = fashion("train")
    images = torch.stack([loaded.preprocess(image.float() / 255)[0] for image in images[:2000]])
    examples = [TensorExamples(images[part], labels[:2000][part]) for part in (slice(0, 1500), slice(1500, None))]
    fitted = fit(loaded.module, partial(scores, classes=10), *examples, Settings(epochs=3, batch_size=25))
    assert fitted.history[-1].held_out["accuracy"] > 0.6
