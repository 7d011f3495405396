"""A scan equals brute force, whatever holds the images, and however often it is stopped."""

from __future__ import annotations

import copy
import io
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import unconv as uc
from tests.visualize.reference import network
from unconv.errors import ModelError, UnconvError
from unconv.jobs import Executor, JobError, Serial, Threads
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel
from unconv.visualize.scan.scan import convolutions, scan
from unconv.visualize.scan.top_activations import TopActivations


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3), nn.Flatten(), nn.Linear(216, 5)
    ).eval()


def images(count: int = 23, size: int = 18) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def values_of(model: nn.Module, batch: Tensor, layers: list[str]) -> dict[str, Tensor]:
    kept: dict[str, Tensor] = {}
    handles = [
        model.get_submodule(layer).register_forward_hook(
            lambda _m, _i, output, layer=layer: kept.setdefault(layer, output.detach().clone())
        )
        for layer in layers
    ]
    with torch.no_grad():
        model(batch)
    for handle in handles:
        handle.remove()
    return kept


def check(found: TopActivations, expected: dict[str, Tensor], top: int) -> None:
    for layer, maps in expected.items():
        flat = maps.flatten(2) if maps.ndim > 2 else maps[..., None]
        peaks = flat.amax(2)
        order = peaks.sort(dim=0, descending=True, stable=True).indices[:top].T
        assert torch.equal(found.images[layer], order)
        torch.testing.assert_close(found.values[layer], peaks.gather(0, order.T).T, rtol=1e-5, atol=1e-5)
        size = maps.shape[2:]
        for unit in range(maps.shape[1]):
            for image, place in zip(order[unit].tolist(), found.positions[layer][unit].tolist(), strict=True):
                at = (image, unit, *place)
                assert float(maps[at]) == pytest.approx(float(peaks[image, unit]), rel=1e-5)
                assert len(place) == len(size)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_scan_equals_brute_force(batch_size: int) -> None:
    model, layers = small(), ["0", "1", "3", "5"]
    found = scan(model, images(), layers, top=4, batch_size=batch_size)
    check(found, values_of(model, images(), layers), top=4)
    assert found.count == 23
    assert found.about["sizes"] == {"0": [16, 16], "1": [16, 16], "3": [6, 6], "5": []}


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v2"])
def test_scan_of_all_convolutions_equals_brute_force(name: str) -> None:
    model = network(name)
    batch = torch.randn(5, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    found = scan(model, batch, top=3, batch_size=2)
    layers = [layer for layer in convolutions(model) if layer in found.layers]
    assert len(layers) > 15
    maps = values_of(model, batch.contiguous(memory_format=torch.channels_last), layers)
    for layer in layers:
        peaks = maps[layer].flatten(2).amax(2)
        best = peaks.sort(dim=0, descending=True).values[:3].T
        torch.testing.assert_close(found.values[layer], best, rtol=1e-3, atol=1e-4)


def test_every_holder_of_images_gives_the_same(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 20, 24, 3), dtype=np.uint8)
    folder = tmp_path / "pictures"
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        for number, one in enumerate(pixels):
            (folder / f"class{number % 2}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(one).save(folder / f"class{number % 2}" / f"{number}.png")
            memory = io.BytesIO()
            Image.fromarray(one).save(memory, "png")
            member = tarfile.TarInfo(f"{number}.png")
            member.size = memory.tell()
            memory.seek(0)
            archive.addfile(member, memory)
    model = small()
    loaded = LoadedModel("small", model, Preprocess((18, 18), (18, 18), fit="stretch"), None, "random")
    files = sorted(folder.rglob("*.png"), key=lambda path: int(path.stem))
    listed = scan(loaded, files, ["3"], batch_size=4)
    assert sorted(listed.names) == list(range(9))
    pictures = [Image.fromarray(one) for one in pixels]
    prepared = torch.cat([loaded.preprocess(torch.from_numpy(one).permute(2, 0, 1) / 255) for one in pixels])
    labelled = TensorDataset(prepared, torch.arange(9))
    for held in (
        str(tmp_path / "shard.tar"),
        pictures,
        iter(pictures),
        labelled,
        DataLoader(labelled, batch_size=5),
        [{"image": one} for one in pictures],
    ):
        found = scan(loaded, held, ["3"], batch_size=4)
        assert torch.equal(found.images["3"], listed.images["3"]), type(held)
        torch.testing.assert_close(found.values["3"], listed.values["3"])
    whole = scan(loaded, folder, ["3"])
    assert whole.names[0] == "class0/0.png"
    torch.testing.assert_close(whole.values["3"].sort().values, listed.values["3"].sort().values)


def test_torchvision_datasets_are_scanned(tmp_path: Path) -> None:
    import torchvision

    for number in range(4):
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.fromarray(np.full((20, 20, 3), 60 * number, np.uint8)).save(tmp_path / "a" / f"{number}.png")
    loaded = LoadedModel("small", small(), Preprocess((18, 18), (18, 18), fit="stretch"), None, "random")
    dataset = torchvision.datasets.ImageFolder(str(tmp_path))
    one, two = scan(loaded, dataset, ["0"], top=2), scan(loaded, tmp_path, ["0"], top=2)
    assert torch.equal(one.images["0"], two.images["0"])


def test_what_cannot_be_read_is_skipped_counted_and_listed(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8 broken")
    (tmp_path / "c.png").touch()
    Image.new("CMYK", (20, 20)).save(tmp_path / "d.jpg")
    Image.new("I;16", (1, 1)).save(tmp_path / "e.png")
    loaded = LoadedModel("small", small(), Preprocess((18, 18), (18, 18), fit="stretch"), None, "random")
    found = scan(loaded, tmp_path, ["0"], top=9)
    assert found.count == 5
    assert [item.name for item in found.skipped] == ["b.jpg", "c.png"]
    assert set(found.names.values()) == {"a.png", "d.jpg", "e.png"}
    with pytest.raises(UnconvError, match="no image could be used"):
        scan(loaded, [tmp_path / "b.jpg"], ["0"])


def test_shards_merge_to_the_whole_and_files_keep_everything(tmp_path: Path) -> None:
    model = small()
    whole = scan(model, images(), ["1", "5"], top=6)
    one, two = scan(model, images()[:10], ["1", "5"], top=6), scan(model, images()[10:], ["1", "5"], top=6)
    one.save(tmp_path / "one.safetensors")
    merged = TopActivations.load(tmp_path / "one.safetensors").merge(two)
    for layer in ("1", "5"):
        assert torch.equal(merged.images[layer], whole.images[layer])
        assert torch.equal(merged.positions[layer], whole.positions[layer])
        torch.testing.assert_close(merged.values[layer], whole.values[layer])
    assert set(merged.names) == set(whole.names)
    assert merged.count == whole.count
    with pytest.raises(UnconvError, match="merge"):
        one.merge(scan(model, images(), ["1"], top=6))
    (tmp_path / "other").write_bytes(b"no safetensors")
    for name in ("other", "nowhere"):
        with pytest.raises(UnconvError, match="cannot be read"):
            TopActivations.load(tmp_path / name)


def test_one_image_may_hold_several_places() -> None:
    found = scan(small(), images(3), ["0"], top=4, per_image=2)
    for row in found.images["0"].tolist():
        assert max(row.count(image) for image in row) == 2


def test_model_is_given_back_as_it_was() -> None:
    model = small().train()
    model[0].weight.requires_grad_(False)
    before = {name: (value.clone(), value.stride()) for name, value in model.state_dict().items()}
    for layers in (["0"], ["nothing"], ["4.1"]):
        try:
            scan(model, images(4), layers)
        except UnconvError:
            assert layers != ["0"]
        assert all(module.training for module in model.modules())
        assert not model[0].weight.requires_grad
        assert model[3].weight.requires_grad
        assert not any(module._forward_hooks for module in model.modules())
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[name][0])
            assert value.stride() == before[name][1]


def test_bfloat16_finds_much_the_same() -> None:
    model = small()
    one, two = scan(model, images(), ["0"]), scan(model, images(), ["0"], dtype=torch.bfloat16)
    assert model[0].weight.dtype == torch.float32
    assert two.about["dtype"] == "bfloat16"
    torch.testing.assert_close(two.values["0"], one.values["0"], rtol=0.03, atol=0.03)


class Dictionary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = small()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"out": self.body(x)}


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_models_of_all_kinds() -> None:
    half = copy.deepcopy(small()).half()
    compiled = torch.compile(small())
    for model, layer in ((Dictionary(), "body.0"), (half, "0"), (compiled, "0")):
        assert scan(model, images(5), [layer], top=2).values[layer].shape == (8, 2)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="TorchScript"):
        scan(torch.jit.script(small()), images(5), ["0"])
    # What is returned in a dict stands for its main tensor.
    whole = scan(Dictionary(), images(5), [""], top=2)
    assert torch.equal(whole.values[""], scan(Dictionary().body, images(5), [""], top=2).values[""])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"top": 0}, "top 0; give 1 or more"),
        ({"per_image": 0}, "per_image 0"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"layers": ["9"]}, "no layer of that name"),
        ({"layers": []}, "list of layers is empty"),
        ({"images": torch.full((2, 3, 18, 18), torch.nan)}, "NaN"),
        ({"images": torch.zeros(2, 3, 2, 2)}, "fails on images of shape"),
        ({"images": [torch.zeros(3, 18, 18), torch.zeros(3, 20, 20)]}, "one size"),
    ],
)
def test_bad_input_is_one_line(change: dict[str, Any], told: str) -> None:
    arguments: dict[str, Any] = {"model": small(), "images": images(4), "layers": ["0"], **change}
    with pytest.raises(UnconvError, match=told) as caught:
        scan(**arguments)
    assert "\n" not in str(caught.value)


def test_checkpoint_of_other_images_is_refused(tmp_path: Path) -> None:
    scan(small(), images(4), ["0"], checkpoint=tmp_path / "kept")
    with pytest.raises(JobError, match="images"):
        scan(small(), images(5), ["0"], checkpoint=tmp_path / "kept")


def test_scan_killed_ten_times_ends_with_the_same_file(tmp_path: Path) -> None:
    script = Path(__file__).with_name("killed_scan.py")
    command = [sys.executable, "-W", "error", str(script), str(tmp_path), "10", "20250101"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.split()
    assert len(answers) >= 2
    assert len(set(answers)) == 1


def test_public_name() -> None:
    assert uc.scan is scan


@pytest.mark.parametrize("executor", [Serial(), Threads(1), Threads(3)], ids=repr)
def test_the_answer_does_not_depend_on_the_executor(executor: Executor) -> None:
    model, pictures = small(), images()
    expected = scan(model, pictures, ["0", "3"], top=4, batch_size=4)
    found = scan(model, pictures, ["0", "3"], top=4, batch_size=4, executor=executor)
    for layer in found.layers:
        assert torch.equal(found.values[layer], expected.values[layer])
        assert torch.equal(found.images[layer], expected.images[layer])
        assert torch.equal(found.positions[layer], expected.positions[layer])
    assert found.names == expected.names


def test_a_model_that_fails_in_a_thread_is_named() -> None:
    with pytest.raises(ModelError, match="contains NaN"):
        scan(small(), torch.full((6, 3, 18, 18), torch.nan), ["0"], batch_size=2, executor=Threads(2))
