"""One result of every kind, small and quick to make: what the tests of results and the gallery in the docs show."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import unconv as uc
from unconv.data.fashion import FashionSource, fashion
from unconv.data.scenes import fashion_scenes
from unconv.explain.photograph import round_trip
from unconv.models.load.open_model import open_model
from unconv.models.load.resolve import LoadedModel
from unconv.network.windows import windows_of
from unconv.operators.geometry.pool import AvgPoolGeometry, MaxPoolGeometry
from unconv.train.data.examples import TensorExamples
from unconv.train.loop.result import Epoch
from unconv.upsample.change.patch import patch


@cache
def scenes() -> Tensor:
    """Three colour pictures of garments over photographs, 96², in [0, 1]."""
    return fashion_scenes("test", folder=FashionSource(None)).draw([5, 17, 40]).pictures.float() / 255


@cache
def classifier() -> LoadedModel:
    """The network that comes with unconv."""
    return uc.load_model("zfnet-28")


@cache
def garments(labels: tuple[int, int] = (1, 9), each: int = 10) -> tuple[Tensor, Tensor]:
    """Garments of two classes as that network takes them, trousers and boots, and which of the two each is."""
    shipped = fashion("test", FashionSource(None))
    chosen = torch.cat([(shipped.labels == label).nonzero().flatten()[:each] for label in labels])
    pictures = classifier().preprocess.pictures(shipped.images[chosen].float() / 255)
    return classifier().preprocess.normalise(pictures), (shipped.labels[chosen] == labels[1]).long()


class Decoder(nn.Module):
    """A network with a fault or two to be found, and a layer whose name has to be escaped."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("<b>", nn.Conv2d(3, 8, 3, stride=2, padding=1))
        self.down = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1)
        self.last = nn.ConvTranspose2d(8, 3, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        down = torch.relu(self.down(torch.relu(self.get_submodule("<b>")(x))))
        return self.last(torch.relu(self.up(down)))


@cache
def found() -> Any:
    torch.manual_seed(0)
    return uc.audit(Decoder(), (3, 64, 64), measure=False)


@cache
def encoding() -> Any:
    grey = scenes()[:2].mean(1, keepdim=True)
    return uc.encode(grey - grey.mean(), uc.sparse.load_dictionary("grey-8x8x64"), "0.1max", solver="torch", tol=0.05)


def learned() -> Any:
    grey = scenes().mean(1, keepdim=True)
    return uc.DictionaryLearner(16, 7, penalty=0.1, max_iter=3, random_state=0).fit(grey)


def signal() -> Any:
    t = torch.linspace(0, 6, 200)
    return uc.encode((t.sin() * (t * 5).cos())[None, None], torch.randn(6, 1, 17), "0.1max", solver="torch", tol=0.05)


def noisy() -> Any:
    crop = scenes()[0, :, 16:64, 24:72]
    return uc.denoise(crop + 0.1 * torch.randn_like(crop), turns=1, sigma=0.1, tol=0.1)


def speckled() -> Any:
    crop = scenes()[1, :, 16:64, 24:72].clone()
    hit = torch.rand(crop.shape) < 0.05
    return uc.denoise(torch.where(hit, torch.randint(0, 2, crop.shape), crop), noise="impulse", turns=1, tol=0.1)


def holed() -> Any:
    crop = scenes()[2, :, 16:64, 24:72]
    return uc.inpaint(crop, torch.rand(1, *crop.shape[1:]) < 0.7, turns=1, tol=0.1)


def scanned() -> Any:
    folder = Path(tempfile.mkdtemp())
    for number, garment in enumerate(classifier().preprocess.denormalise(garments()[0]).clamp(0, 1)):
        uc.data.images.save_image(garment, folder / f"garment-{number:02}.png")
    return uc.scan(classifier(), folder, layers=["features.relu1", "features.relu2"])


def projected() -> Any:
    return uc.project(classifier(), classifier().preprocess.denormalise(garments()[0][9:12]), "features.relu3", [3, 7])


def window_projections() -> Any:
    model, pictures = classifier(), garments()[0]
    windows = windows_of(uc.trace(model.module, model.input_size), "features.relu2")
    place = tuple(size // 2 for size in windows.shape[1:])
    picks = [uc.visualize.Pick(image, unit, place) for image in (0, 12) for unit in (1, 4, 6, 9)]
    return uc.visualize.project_units(model.module, pictures, windows, picks)


def unit_fidelity() -> Any:
    picks = [uc.visualize.Pick(image, 4, (7, 7)) for image in (1, 4, 12, 15)]
    return uc.fidelity(classifier().module, garments()[0], "features.relu2", picks)[4]


def occluded() -> Any:
    return uc.experiments.occlusion(classifier(), garments()[0][12], square=7, stride=3)


def corresponding() -> Any:
    boxes = {"top": [(2, 8, 8, 12)] * 4, "bottom": [(18, 8, 8, 12)] * 4}
    layers = ["features.relu2", "features.relu3"]
    return uc.experiments.correspondence(classifier(), garments()[0][:4], boxes, layers, draws=4)


def transferred() -> Any:
    coats = garments((2, 4), 20)
    return uc.experiments.transfer(
        classifier(), *coats, ["features.relu1", "features.relu3", "features.pool5"], folds=4
    )


def evolving() -> Any:
    trained = {name: tensor.clone() for name, tensor in classifier().module.state_dict().items()}
    halfway = {name: tensor / 2 if tensor.is_floating_point() else tensor for name, tensor in trained.items()}
    stages = {"epoch 1": halfway, "epoch 9": trained}
    return uc.experiments.evolution(classifier(), stages, garments()[0], "features.relu2", top_units=3)


def reported() -> Any:
    folder = Path(tempfile.mkdtemp()) / "report"
    pictures = classifier().preprocess.denormalise(garments()[0][9:11]).clamp(0, 1)
    return uc.see(classifier(), pictures, layers=["features.relu2"], out=folder)


def trained(**more: Any) -> dict[str, Any]:
    history = tuple(
        Epoch(n, {"loss": 2 / n, **more}, {"loss": 2.2 / n, **dict.fromkeys(more, 1 - 0.5 / n)}) for n in (1, 2, 3)
    )
    about = {"data": "Fashion-MNIST"}
    return {"network": classifier(), "history": history, "epoch": history[-1], "about": about}


def named_apart() -> Any:
    confusion = torch.eye(10).mul(90).long() + torch.arange(100).reshape(10, 10) % 7
    return uc.train.Classifier(**trained(accuracy=0.9), confusion=confusion)


def segmented() -> Any:
    held_out = TensorExamples(torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8))
    return uc.train.Segmenter(**trained(pixel_accuracy=0.9, miou=0.7), held_out=held_out)


def pooling() -> Any:
    picture = scenes()[0, :, :32, :32].contiguous()
    return uc.operators.MaxPoolOperator.of(picture, MaxPoolGeometry((32, 32), 2))


def odd_files() -> Any:
    folder = Path(tempfile.mkdtemp())
    for number, picture in enumerate(scenes()):
        uc.data.images.save_image(picture, folder / f"scene-{number}.png")
    (folder / "empty.jpg").touch()
    return uc.read_images(folder)


MAKERS: dict[str, Callable[[], Any]] = {
    "ConvGeometry": lambda: uc.ConvGeometry((5, 5), 3, stride=2, padding=1),
    "ConvTransposeGeometry": lambda: uc.ConvTransposeGeometry((3, 3), 3, stride=2, padding=1, output_padding=1),
    "ConvGeometry, large": lambda: uc.ConvGeometry((224, 224), 7, stride=2, padding=3),
    "MaxPoolGeometry": lambda: MaxPoolGeometry((6, 6), 2),
    "AvgPoolGeometry": lambda: AvgPoolGeometry((6, 6), 3, stride=1),
    "Solutions": lambda: uc.solve_transpose(13, 50),
    "Solutions, two axes": lambda: uc.solve_transpose((13, 14), (50, 50)),
    "ReceptiveField": lambda: found().graph["up"].receptive_field,
    "MatrixStructure": lambda: uc.operators.matrix_structure(uc.ConvGeometry((8, 8), 3), 3, 16),
    "ConvOperator": lambda: uc.ConvOperator(torch.randn(8, 3, 3, 3), (16, 16)),
    "Transposed": lambda: uc.ConvOperator(torch.randn(8, 3, 3, 3), (16, 16)).T,
    "Composition": lambda: (
        uc.ConvOperator(torch.randn(8, 3, 3, 3), (16, 16)).T @ uc.ConvOperator(torch.randn(8, 3, 3, 3), (16, 16))
    ),
    "MaxPoolOperator": pooling,
    "AvgPoolOperator": lambda: uc.operators.AvgPoolOperator(AvgPoolGeometry((8, 8), 2), 3),
    "RoundTrip": lambda: round_trip(scenes()[0], torch.full((3, 3), 1 / 9), stride=2),
    "Drawing": lambda: uc.draw(uc.ConvTransposeGeometry((3, 3), 3, stride=2, padding=1), "zeros"),
    "Graph": lambda: found().graph,
    "Graph, long": lambda: uc.trace(uc.load_model("efficientnet-lite0", random_weights=True).module),
    "Layer": lambda: found().graph["<b>"],
    "WorkingSizes": lambda: uc.working_sizes(uc.load_model("lenet5", random_weights=True)),
    "Audit": found,
    "Finding": lambda: found().findings[0],
    "LayerList": lambda: uc.list_layers(classifier()),
    "Windows": lambda: windows_of(uc.trace(classifier().module, classifier().input_size), "features.relu2"),
    "Patched": lambda: patch(found()),
    "LoadedModel": classifier,
    "OpenedModel": lambda: open_model(classifier()),
    "Preprocess": lambda: uc.Preprocess(),
    "ImageSet": odd_files,
    "Image": lambda: odd_files()[0],
    "Skipped": lambda: odd_files().skipped[0],
    "Encoding": encoding,
    "Encoding of a signal": signal,
    "DictionaryLearner": learned,
    "PerKernel": lambda: uc.sparse.PerKernel(torch.rand(64)),
    "PerPosition": lambda: uc.sparse.PerPosition(torch.rand(64, 32, 32)),
    "InverseCorrelation": lambda: uc.sparse.InverseCorrelation(0.5),
    "FromCorrelation": lambda: uc.sparse.FromCorrelation(torch.ones_like),
    "Denoised": noisy,
    "Denoised, impulses": speckled,
    "Inpainted": holed,
    "Projection": projected,
    "TopActivations": scanned,
    "UnitPlaces": lambda: scanned().unit("features.relu2", 4),
    "WindowProjections": window_projections,
    "Pick": lambda: window_projections().picks[0],
    "Coverage": lambda: window_projections().coverage,
    "Fidelity": unit_fidelity,
    "OcclusionMaps": occluded,
    "Correspondence": corresponding,
    "Invariance": lambda: uc.experiments.invariance(classifier(), garments()[0][9:12], "rotation", [0, 10, 20, 40]),
    "Evolution": evolving,
    "FirstLayer": lambda: uc.experiments.first_layer(classifier(), garments()[0]),
    "Transfer": transferred,
    "Report": reported,
    "Classifier": named_apart,
    "Segmenter": segmented,
    "Generated": lambda: uc.train.Generated(**trained(distance=2.0, entropy=2.2)),
    "Settings": uc.train.Settings,
}


@cache
def make(name: str) -> Any:
    """One of them, the same every time."""
    torch.manual_seed(0)
    return MAKERS[name]()
