"""Whatever holds pictures is read alike by all that take pictures."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)

import unconv as uc
from unconv.data.images import save_image, to_pil
from unconv.data.read.items import Skipped
from unconv.data.read.source import pictures_of, source_of
from unconv.errors import ImageError, SparseError, UnconvError
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.resolve import LoadedModel
from unconv.sparse.code.encode import encode
from unconv.sparse.estimator.learner import DictionaryLearner
from unconv.train.data.labelled import pictures_of as labelled_pictures
from unconv.train.data.unlabelled import pictures_without_classes
from unconv.visualize.report.picture_view import show_picture
from unconv.visualize.scan.scan import scan

COUNT, SIZE = 4, (20, 24)
AS_IT_IS = Preprocess(SIZE, SIZE, mean=(0.0,) * 3, std=(1.0,) * 3)
GENERATOR = torch.Generator().manual_seed(0)
# Of 8 bits, as files hold them.
IMAGES = torch.randint(256, (COUNT, 3, *SIZE), generator=GENERATOR) / 255
DICTIONARY = torch.rand(2, 3, 3, 3, generator=GENERATOR)


class Items(Dataset[Any]):
    """A dataset of whatever is made of a picture; as many do, it raises no IndexError."""

    def __init__(self, make: Callable[[Tensor, int], Any]) -> None:
        self.make = make

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, number: int) -> Any:
        return self.make(IMAGES[number % COUNT], number)


class Streamed(IterableDataset[Any]):
    """A dataset that is gone through, though torch gives it a __getitem__ and it says its length."""

    def __len__(self) -> int:
        return COUNT

    def __iter__(self) -> Iterator[Any]:
        return ((image, number) for number, image in enumerate(IMAGES))


class Unmeasured(Dataset[Any]):
    """A dataset whose length fails, as that of a file that is gone does."""

    def __len__(self) -> int:
        raise RuntimeError("no such table")

    def __getitem__(self, number: int) -> Tensor:
        return IMAGES[number]


PILLOW = Items(lambda image, number: (to_pil(image), number))


def as_bytes(image: Tensor) -> Tensor:
    return image.mul(255).round().to(torch.uint8)


def paths(place: Path) -> list[Path]:
    return [place / "photos" / f"{number}.png" for number in range(COUNT)]


SOURCES: dict[str, Callable[[Path], Any]] = {
    "folder": lambda place: str(place / "photos"),
    "files": paths,
    "tar": lambda place: place / "all.tar",
    "list with a tar": lambda place: [str(place / "all.tar")],
    "tensor": lambda _: IMAGES,
    "array": lambda _: IMAGES.numpy(),
    "tensors": lambda _: list(IMAGES),
    "arrays": lambda _: [image.numpy() for image in IMAGES],
    "Pillow pictures": lambda _: [to_pil(image) for image in IMAGES],
    "what was read": lambda place: uc.read_images(place / "photos"),
    "dataset of tensors": lambda _: Items(lambda image, _: image),
    "dataset of tuples": lambda _: TensorDataset(IMAGES, torch.arange(COUNT)),
    "dataset of dicts": lambda _: Items(lambda image, number: {"label": number, "image": image}),
    "dataset of Pillow pictures": lambda _: Items(lambda image, number: (to_pil(image), number)),
    "iterable dataset": lambda _: Streamed(),
    "loader": lambda _: DataLoader(TensorDataset(IMAGES, torch.arange(COUNT)), batch_size=3),
    "generator": lambda _: (image for image in IMAGES),
    "generator of paths": lambda place: (str(path) for path in paths(place)),
    "nested lists": lambda _: [[IMAGES[0], IMAGES[1]], [IMAGES[2], [IMAGES[3]]]],
    "nested lists of paths": lambda place: [[str(path) for path in paths(place)[:3]], paths(place)[3:]],
    "generator of lists": lambda _: (list(IMAGES[part]) for part in (slice(2), slice(2, 4))),
    "bytes": lambda _: as_bytes(IMAGES),
    "dataset of bytes": lambda _: Items(lambda image, _: as_bytes(image)),
    "dataset of arrays": lambda _: Items(lambda image, number: (image.numpy(), number)),
    "subset": lambda _: Subset(TensorDataset(IMAGES, torch.arange(COUNT)), range(COUNT)),
    "datasets in turn": lambda _: ConcatDataset([TensorDataset(IMAGES[:1]), TensorDataset(IMAGES[1:])]),
    "dataset whose length fails": lambda _: Unmeasured(),
    "loader of bytes": lambda _: DataLoader(Items(lambda image, _: as_bytes(image)), 3),
    "loader of dicts": lambda _: DataLoader(Items(lambda image, number: {"label": number, "image": image}), 3),
    "loader of samples": lambda _: DataLoader(PILLOW, 3, collate_fn=list),
    "loader of columns": lambda _: DataLoader(PILLOW, 3, collate_fn=lambda batch: tuple(zip(*batch, strict=True))),
    "loader of lists of columns": lambda _: DataLoader(PILLOW, 3, collate_fn=lambda batch: [*zip(*batch, strict=True)]),
    "loader without batches": lambda _: DataLoader(TensorDataset(IMAGES, torch.arange(COUNT)), batch_size=None),
    "loader of ready batches": lambda _: DataLoader([(IMAGES[:3], 0), (IMAGES[3:], 1)], batch_size=None),
    "mixture": lambda place: [paths(place)[0], to_pil(IMAGES[1]), IMAGES[2:3], IMAGES[3].numpy()],
    "mixture with a dataset": lambda place: [paths(place)[0], Items(lambda image, _: image)],
}
NAMED = ("folder", "files", "tar", "list with a tar", "what was read", "generator of paths", "nested lists of paths")
LOADERS = [kind for kind in SOURCES if kind.startswith("loader")]
# In other places, or none, of the same pictures.
NAMES = {
    "mixture": ["0.png", "image 0", "image 1", "image 2"],
    "mixture with a dataset": ["0.png", *(f"image {number}" for number in range(COUNT))],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sources")
    (place / "photos").mkdir()
    for path, image in zip(paths(place), IMAGES, strict=True):
        save_image(image, path)
    with tarfile.open(place / "all.tar", "w") as archive:
        for path in paths(place):
            archive.add(path, arcname=path.name)
    return place


def expected(kind: str) -> tuple[Tensor, list[str]]:
    images = torch.cat([IMAGES[:1], IMAGES]) if kind == "mixture with a dataset" else IMAGES
    plain = [f"{number}.png" if kind in NAMED else f"image {number}" for number in range(len(images))]
    return images, NAMES.get(kind, plain)


@pytest.mark.parametrize("kind", SOURCES)
def test_read_images_reads_it(place: Path, kind: str) -> None:
    images, names = expected(kind)
    found = uc.read_images(SOURCES[kind](place))
    assert [image.name for image in found] == names
    assert not found.skipped
    torch.testing.assert_close(found.batch(), images)


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("kind", SOURCES)
def test_scan_reads_it(place: Path, kind: str, bare: bool) -> None:
    images, names = expected(kind)
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    model = module if bare else LoadedModel("net", module, AS_IT_IS, None, "random")
    found = scan(model, SOURCES[kind](place), ["0"], top=len(images), transform=AS_IT_IS if bare else None)
    reference = module(images).detach().amax((2, 3)).T.sort(dim=1, descending=True).values
    assert (found.count, found.skipped) == (len(images), ())
    assert [found.names[number] for number in range(len(images))] == names
    torch.testing.assert_close(found.values["0"], reference)


@pytest.mark.parametrize("kind", SOURCES)
def test_see_reads_it_as_often_as_it_likes(place: Path, kind: str) -> None:
    images, names = expected(kind)
    pictures = pictures_of(SOURCES[kind](place))
    assert [pictures.name(number) for number in range(len(pictures))] == names
    for _ in range(2):
        shown = [show_picture(pictures, number, AS_IT_IS) for number in range(len(pictures))]
        torch.testing.assert_close(torch.stack([one.image for one in shown]), images)


@pytest.mark.parametrize("kind", SOURCES)
def test_a_dictionary_is_learned_from_it(place: Path, kind: str) -> None:
    images, _ = expected(kind)

    def learn(given: object) -> Tensor:
        settings: dict[str, Any] = {"batch_size": len(images), "max_iter": 1, "random_state": 0}
        return DictionaryLearner(2, 3, 0.1, **settings).fit(given).dictionary_

    torch.testing.assert_close(learn(SOURCES[kind](place)), learn(images), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("kind", SOURCES)
def test_encode_reads_it(place: Path, kind: str) -> None:
    images, _ = expected(kind)
    found, reference = (encode(given, DICTIONARY, 0.5, tol=1e-2) for given in (SOURCES[kind](place), images))
    torch.testing.assert_close(found.objective, reference.objective, rtol=1e-2, atol=0)
    assert found.image_sizes == reference.image_sizes


@pytest.mark.parametrize("kind", SOURCES)
def test_training_reads_it(place: Path, kind: str) -> None:
    images, _ = expected(kind)
    found = pictures_without_classes(SOURCES[kind](place)).prepared(AS_IT_IS)
    read = torch.cat([part.fetch(range(len(part))).inputs for part in (found.train, found.held_out)])
    in_order = [torch.stack(sorted(batch, key=lambda image: float(image.sum()))) for batch in (read, images)]
    torch.testing.assert_close(*in_order)


def test_pictures_with_their_classes_are_read_for_training(place: Path) -> None:
    with tarfile.open(place / "classes.tar", "w") as archive:
        for number, path in enumerate(paths(place)):
            archive.add(path, arcname=f"{'ab'[number % 2]}/{number}.png")
    samples = [(image, number % 2) for number, image in enumerate(IMAGES)]
    for given, classes in ((place / "classes.tar", ("a", "b")), (samples, ("0", "1"))):
        found = labelled_pictures(given)
        assert (found.classes, len(found.train), len(found.held_out)) == (classes, 2, 2)
    dataset = labelled_pictures(Items(lambda image, number: (image, number % 2)))
    assert sorted(dataset.train.targets.tolist()) == [0, 1]
    with pytest.raises(ImageError, match="4 pictures of 0 classes, 4 of no class; put them into folders"):
        labelled_pictures(list(IMAGES))


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": True},
        {"sampler": SubsetRandomSampler([2, 0])},
        {"batch_sampler": BatchSampler(RandomSampler(IMAGES), 2, False)},
    ],
)
def test_loaders_that_shuffle_are_refused_where_pictures_are_read_again(options: dict[str, Any]) -> None:
    with pytest.raises(ImageError, match="a loader that shuffles or chooses may give other pictures the second time"):
        pictures_of(DataLoader(TensorDataset(IMAGES), **options))


def test_of_a_loader_in_order_the_dataset_is_read_as_it_is_needed() -> None:
    fetched: list[int] = []

    def make(image: Tensor, number: int) -> Tensor:
        fetched.append(number)
        return image

    pictures = pictures_of(DataLoader(Items(make), batch_size=3, drop_last=True))
    assert len(pictures) == 3
    assert fetched == []
    torch.testing.assert_close(pictures[2].value, IMAGES[2])
    assert fetched == [2]


class Endless:
    """Has no length, and an item in every place."""

    def __getitem__(self, number: int) -> Tensor:
        return IMAGES[number % COUNT]


class Ended(Endless):
    """Has no length, and says where it ends."""

    def __getitem__(self, number: int) -> Tensor:
        return IMAGES[number]


READERS: dict[str, Callable[[Any], Any]] = {
    "read_images": uc.read_images,
    "scan": lambda given: scan(nn.Sequential(nn.Conv2d(3, 4, 3)), given),
    "see": lambda given: uc.see(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), given, transform=AS_IT_IS),
    "fit": lambda given: DictionaryLearner(2, 3, max_iter=1).fit(given),
    "encode": lambda given: encode(given, DICTIONARY),
    "train": pictures_without_classes,
}


@pytest.mark.parametrize("reader", READERS)
def test_what_has_no_end_is_refused_in_one_line(reader: str) -> None:
    with pytest.raises(UnconvError, match="Endless has neither a length nor an end; give it __len__, or a list") as why:
        READERS[reader](Endless())
    assert "\n" not in str(why.value)


def torn(count: int) -> Iterator[Tensor]:
    yield from IMAGES[:count]
    raise RuntimeError("connection lost\nat byte 3")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("make", [lambda: torn(2), lambda: [IMAGES[0], torn(1)]])
def test_a_stream_that_fails_is_refused_in_one_line(reader: str, make: Callable[[], Any]) -> None:
    with pytest.raises(UnconvError, match=r"generator fails after \d items: connection lost; make it") as why:
        READERS[reader](make())
    assert "\n" not in str(why.value)


@pytest.mark.parametrize("reader", [name for name in READERS if name not in ("see", "train")])
def test_a_loader_that_fails_is_refused_in_one_line(reader: str) -> None:
    def make(image: Tensor, number: int) -> Tensor:
        return image if number < 3 else IMAGES[99]

    with pytest.raises(UnconvError, match="DataLoader fails after 1 items: index 99 is out of bounds"):
        READERS[reader](DataLoader(Items(make), batch_size=2))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("given", [b"photos", bytearray(9), io.BytesIO(b"picture"), io.StringIO("a.png")])
def test_bytes_and_open_files_are_refused_in_one_line(reader: str, given: Any) -> None:
    with pytest.raises(UnconvError, match=f"{type(given).__name__} holds no images; give its path"):
        READERS[reader](given)


UNREADABLE: dict[str, tuple[Any, str]] = {
    "dicts": (Items(lambda image, number: {"photo": image, "y": number}), "a dict of photo, y; name its picture image"),
    "numbers without white": (IMAGES.long(), "numbers of type int64 have no known white"),
    "sparse": (IMAGES.to_sparse(), "sparse; use .to_dense"),
    "meta": (torch.empty(COUNT, 3, *SIZE, device="meta"), "device meta; fill it first"),
    "items that fail": (Items(lambda *_: IMAGES[99]), "index 99 is out of bounds"),
}


@pytest.mark.parametrize("reader", ["read_images", "see", "train"])
@pytest.mark.parametrize("kind", UNREADABLE)
def test_where_nothing_can_be_read_it_is_said_why_before_the_work(reader: str, kind: str) -> None:
    given, told = UNREADABLE[kind]
    with pytest.raises(UnconvError, match=told) as why:
        READERS[reader](given)
    assert "\n" not in str(why.value)


@pytest.mark.parametrize("reader", ["read_images", "scan", "see", "fit", "encode"])
def test_archives_that_are_not_opened_are_told_from_broken_pictures(reader: str, tmp_path: Path) -> None:
    for name in ("all.zip", "all.tar.gz", "all.TGZ"):
        (tmp_path / name).write_bytes(b"PK")
        with pytest.raises(UnconvError, match=r"unpack archives, or pack them as \.tar"):
            READERS[reader](tmp_path / name)


def test_training_data_that_is_a_file_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(b"PK")
    for read in (pictures_without_classes, labelled_pictures):
        with pytest.raises(ImageError, match=r"all\.zip: a file, and neither a folder nor a \.tar"):
            read(tmp_path / "all.zip")


class Classified(Items):
    """A dataset that knows its classes, as torchvision's do."""

    classes = ("shoe", "bag")
    targets = (0, 1, 0, 1)


def test_a_part_of_a_dataset_has_the_classes_of_the_whole() -> None:
    whole = Classified(lambda image, number: (image, number % 2))
    for data in (whole, Subset(whole, range(4)), Subset(Subset(whole, [3, 2, 1, 0]), range(4))):
        found = labelled_pictures(data)
        assert found.classes == ("shoe", "bag")
        assert sorted(found.train.targets.tolist()) == [0, 1]
    with pytest.raises(UnconvError, match=r"class 1 \(bag\) has 1 pictures"):
        labelled_pictures(Subset(whole, [0, 1, 2]))


@pytest.mark.parametrize("reader", READERS)
def test_what_holds_no_images_is_refused_in_one_line(reader: str) -> None:
    with pytest.raises(UnconvError, match="object holds no images") as why:
        READERS[reader](object())
    assert "\n" not in str(why.value)


def test_a_dataset_without_a_length_ends_where_it_says_so() -> None:
    assert len(uc.read_images(Ended())) == COUNT


ODD = ("scan 3: torn.png", "two\nlines.png", "a: b: c.png", os.fsdecode(b"caf\xe9.png"), 'quote"s.png')


@pytest.mark.parametrize("name", ODD)
def test_a_skipped_picture_keeps_its_name_and_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    save_image(IMAGES[0], tmp_path / f"z {name}")
    found = scan(nn.Sequential(nn.Conv2d(3, 4, 3)), tmp_path, ["0"], top=1, checkpoint=tmp_path.with_suffix(".jobs"))
    expected = (Skipped(name, "empty file (0 bytes)", tmp_path / name),)
    again = uc.visualize.TopActivations.load(found.save(tmp_path.with_suffix(".safetensors")))
    assert found.skipped == again.skipped == uc.read_images(tmp_path).skipped == expected
    assert found.names == again.names == {1: f"z {name}"}
    report = uc.see(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), tmp_path, out=tmp_path.with_suffix(".see"), transform=AS_IT_IS
    )
    assert [(item.name, item.reason) for item in report.skipped] == [(name, "empty file (0 bytes)")]


@pytest.mark.parametrize("name", ODD)
def test_members_of_archives_keep_their_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "torn").write_bytes(b"torn")
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(tmp_path / "torn", arcname=name)
    (item,) = list(source_of(tmp_path / "all.tar"))
    assert item.name == name
    with pytest.raises(ImageError, match="not a picture in a known format"):
        uc.read_images(tmp_path / "all.tar")


def test_a_torn_archive_is_skipped_and_stops_nothing(place: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn.tar"
    torn.write_bytes((place / "all.tar").read_bytes()[:700])
    found = uc.read_images([torn, place / "photos"])
    assert len(found) == COUNT
    assert "cannot be read as a tar file" in found.skipped[-1].reason


def test_what_encode_cannot_read_is_refused(place: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"")
    with pytest.raises(SparseError, match=r"encode: .*torn.png: empty file \(0 bytes\); leave it out"):
        encode([paths(place)[0], tmp_path / "torn.png"], DICTIONARY)


def test_patterns_are_matched_where_the_shell_has_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quoted, in a configuration file, or from Python: what the shell would have made of them."""
    monkeypatch.chdir(tmp_path)
    for name in ("b/2.png", "a/1.png", "a/[x].png", "a/.hidden.png", "a/deep/3.png", "a/notes.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        save_image(torch.rand(3, 4, 4), name) if name.endswith("png") else Path(name).write_text("")
    with tarfile.open("all.tar", "w") as archive:
        archive.add("b/2.png", "inside.png")
    named = {given: [item.name for item in source_of(given)] for given in ("a/*.png", "*/*.png", "**/*.png", "*.tar")}
    assert named["a/*.png"] == ["1.png", "[x].png"]
    assert named["*/*.png"] == ["a/1.png", "a/[x].png", "b/2.png"]
    assert named["**/*.png"] == ["a/1.png", "a/[x].png", "a/deep/3.png", "b/2.png"]
    assert named["*.tar"] == ["inside.png"]
    # A name that is there means itself.
    assert [item.name for item in source_of("a/[x].png")] == ["[x].png"]
    assert [str(item) for item in source_of("c/*.png")] == ["c/*.png: no file matches the pattern"]
    assert [item.name for item in source_of([str(tmp_path / "a" / "*.png"), "b"])] == ["1.png", "[x].png", "2.png"]
