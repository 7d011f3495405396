"""Training for semantic segmentation: a network names every pixel of a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import Generator, Tensor, nn

from unconv.arguments import tell_wrong_arguments
from unconv.data.scenes import SIZE
from unconv.errors import UnconvError, printable
from unconv.jobs import Executor, Progress, Running, Serial, Threads
from unconv.models.load.resolve import LoadedModel, untrained_model
from unconv.models.load.weights.files import read_state_dict
from unconv.models.transfer_weights import carry_over
from unconv.train.data.augment import Augment, check_shift, draw_moves, moved
from unconv.train.data.examples import Batch, Examples
from unconv.train.data.segmented import SCENES, FashionScenes, balanced, segmented
from unconv.train.loop.loop import train, trainer_for
from unconv.train.loop.settings import Settings
from unconv.train.show.confusion import conclude_confusion, confusion_of
from unconv.train.tasks.pixel_loss import pixel_loss
from unconv.train.tasks.trained import Trained, load_result

ClassWeights: TypeAlias = Literal["balanced"] | Sequence[float]

# Batches are small: a picture has thousands of pixels, each of which is an example.
SETTINGS = Settings(epochs=5, batch_size=16)
AUXILIARY = 0.5
"""Weight of the loss of an auxiliary classifier, as torchvision trains its segmentation networks."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Segmenter(Trained):
    """A network that was trained to name the pixels of pictures.

    Its history has ``loss`` (cross-entropy, natural logarithm), ``pixel_accuracy``, ``miou`` and ``iou/CLASS``; the
    measure of an epoch is ``miou``.

    Attributes:
        held_out: what it was measured on.
    """

    held_out: Examples

    @property
    def miou(self) -> float:
        """Mean over the classes of the intersection over union, of what was held out."""
        return self.epoch.held_out["miou"]

    @property
    def classes(self) -> tuple[str, ...]:
        """What each pixel may be."""
        return self.network.classes or ()


@tell_wrong_arguments
def segment(
    model: str = "fcn8s:compact",
    data: str | PathLike[str] = SCENES,
    settings: Settings = SETTINGS,
    *,
    scenes: int = 6000,
    size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    flip: bool = True,
    shift: float = 0.0,
    class_weights: ClassWeights | None = None,
    jaccard: float = 0.0,
    start: str | PathLike[str] | None = None,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_seconds: float = 30.0,
    log: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Segmenter:
    """Train a network to name every pixel of a picture.

    The mean over pictures of the mean cross-entropy of their pixels is minimised by
    :func:`~unconv.train.loop.loop.fit`, and with it, where that is asked for, what the intersections over union lack:
    see :func:`pixel_scores`. What is measured on the pictures held out is counted in the size that the network gets.

    Args:
        model: a MODEL string; the network gets as many outputs as the data has classes. It returns scores
            (batch, classes, height, width), or a dict with these as ``"out"`` as torchvision's networks do; their
            ``"aux"`` is trained along.
        data: ``"scenes"``, or a folder, see :func:`~unconv.train.data.segmented.segmented`.
        settings: of the loop.
        scenes: how many different Fashion scenes an epoch has.
        size: height and width of the pictures it is given, unless the model says so; 96 for scenes.
        mean: subtracted from pictures in [0, 1].
        std: what they are divided by.
        flip: half of the pictures are mirrored left to right, their masks with them.
        shift: pictures are moved by up to this part of their side, their masks with them.
        class_weights: one number a class, or ``"balanced"``: in inverse proportion to its pixels.
        jaccard: weight of the soft intersection over union in the loss, 0 or more.
        start: a file of weights to begin with, of this network, of the stage before it (an FCN-32s for an FCN-16s), or
            of the classifier that an FCN stands on, of the FCN that a light U-Net's path down is taken from: see
            :func:`~unconv.models.transfer_weights.carry_over`.
        executor: reads the pictures of each step; :class:`~unconv.jobs.Threads` where they are files, unless given.
        checkpoint: a folder; a training that was killed is resumed from there and ends the same.
        checkpoint_seconds: how often it is written.
        log: a folder for files of TensorBoard.
        progress: as :func:`unconv.jobs.bar` makes it; counts epochs.

    Raises ModelError for the model or the weights to begin with, ImageError for the data, UnconvError where they do
    not fit or the loss is not finite, JobError for a checkpoint of another training.
    """
    augment = mask_augmentation(flip, shift)
    _check_jaccard(jaccard)
    pictures = segmented(data, settings.seed, scenes)
    size = SIZE if size is None and isinstance(pictures, FashionScenes) else size
    loaded = untrained_model(model, len(pictures.classes), seed=settings.seed, size=size, mean=mean, std=std)
    loaded = _uncropped(loaded)
    fresh = () if start is None else _start_from(loaded.module, Path(start))
    weights = _weights(class_weights, pictures.classes, pictures.pixels)
    train_on, held_out = pictures.prepared(loaded.preprocess)
    about = {
        "model": loaded.name,
        "data": pictures.name,
        "classes": list(pictures.classes),
        "preprocess": loaded.preprocess.to_dict(),
        "pictures": len(train_on),
        "flip": flip,
        "shift": shift,
        "class_weights": None if weights is None else weights.tolist(),
        "jaccard": jaccard,
    }
    measure = partial(pixel_scores, classes=len(pictures.classes), weights=weights, jaccard=jaccard)
    conclude = partial(conclude_confusion, classes=pictures.classes)
    running = Running(
        executor or (Serial() if isinstance(pictures, FashionScenes) else Threads()),
        checkpoint,
        checkpoint_seconds,
        progress,
        log,
    )
    result = train(
        trainer_for(loaded.module, measure, train_on, settings, conclude),
        train_on,
        held_out,
        settings,
        running,
        conclude=conclude,
        score=lambda numbers: numbers["miou"],
        augment=augment,
        about=about,
    )
    notes = (*pictures.notes, *loaded.notes, *fresh)
    trained = load_result(loaded, result, settings, about, classes=pictures.classes, notes=notes)
    return Segmenter(**vars(trained), held_out=held_out)


def pixel_scores(
    outputs: Tensor | Mapping[str, Tensor],
    targets: Tensor,
    classes: int,
    weights: Tensor | None = None,
    jaccard: float = 0.0,
) -> dict[str, Tensor]:
    """The loss of each picture, see :func:`~unconv.train.tasks.pixel_loss.pixel_loss`, and its confusion matrix.

    Args:
        outputs: scores (batch, classes, height, width), or a mapping with them as ``"out"``.
        targets: numbers of the classes (batch, height, width).
        classes: how many there are.
        weights: one a class.
        jaccard: weight of what the intersections over union lack.

    Raises UnconvError for outputs of another kind or shape.

    >>> scores = torch.tensor([[2.0, 0.0], [0.0, 0.0]])[None, :, None]  # two classes, a row of two pixels
    >>> measured = pixel_scores(scores, torch.tensor([[[0, 255]]]), classes=2)
    >>> measured["loss"], measured["confusion"].shape
    (tensor([0.1269]), torch.Size([1, 2, 2]))
    >>> pixel_scores(scores, torch.tensor([[[0, 255]]]), classes=2, jaccard=1.0)["loss"]
    tensor([0.2461])
    """
    scores, auxiliary = outputs, None
    if isinstance(outputs, Mapping):
        if "out" not in outputs:
            raise UnconvError(
                f"train: the network returns a dict with {', '.join(map(str, outputs)) or 'nothing'}; scores "
                f"(batch, {classes}, height, width) are needed, as themselves or as 'out'"
            )
        scores, auxiliary = outputs["out"], outputs.get("aux")
    scores = _checked(scores, targets, classes)
    loss = pixel_loss(scores, targets, weights, jaccard)
    if auxiliary is not None:
        loss = loss + AUXILIARY * pixel_loss(_checked(auxiliary, targets, classes), targets, weights)
    return {"loss": loss, "confusion": confusion_of(scores, targets)}


def _checked(scores: object, targets: Tensor, classes: int) -> Tensor:
    count, height, width = targets.shape
    wanted = (count, classes, height, width)
    if not isinstance(scores, Tensor):
        raise UnconvError(f"train: the network returns a {type(scores).__name__}; scores {wanted} are needed")
    if tuple(scores.shape) != wanted:
        way = "give the network as many outputs as there are classes"
        if scores.ndim == 2:
            way = "one that tells whole pictures apart is trained by unconv train classify"
        elif tuple(scores.shape[:2]) == wanted[:2]:
            way = "end it by a layer that brings scores to the size of the picture"
        raise UnconvError(
            f"train: the network returns shape {tuple(scores.shape)} for masks {tuple(targets.shape)} of {classes} "
            f"classes; {wanted} is needed: {way}"
        )
    return scores


def mask_augmentation(flip: bool, shift: float) -> Augment | None:
    """Pictures mirrored and moved with their masks; None where nothing would change.

    >>> batch = Batch(torch.rand(4, 3, 8, 8), torch.arange(64).reshape(1, 8, 8).expand(4, 8, 8))
    >>> mask_augmentation(flip=True, shift=0.0)(batch, Generator().manual_seed(1)).targets[:, 0, 0]
    tensor([0, 7, 0, 0])
    """
    check_shift(shift)
    if not flip and not shift:
        return None

    def changed(batch: Batch, generator: Generator) -> Batch:
        moves = draw_moves(batch.inputs, generator, flip=flip, shift=shift)
        return replace(batch, inputs=moved(batch.inputs, moves), targets=moved(batch.targets, moves))

    return changed


def _check_jaccard(weight: float) -> None:
    if not (isfinite(weight) and weight >= 0):
        raise UnconvError(f"train: jaccard {weight}; give 0 or more")


def _uncropped(loaded: LoadedModel) -> LoadedModel:
    """No margin is cut off: each pixel counts."""
    return replace(loaded, preprocess=replace(loaded.preprocess, resize=loaded.preprocess.size))


def _start_from(module: nn.Module, path: Path) -> tuple[str, ...]:
    fresh = carry_over(module, read_state_dict(path))
    layers = dict.fromkeys(name.rpartition(".")[0] for name in fresh)
    anew = f"; {len(layers)} layers begin anew: {', '.join(layers)}" if layers else ""
    return (f"begins with {printable(path)}{anew}",)


def _weights(asked: ClassWeights | None, classes: Sequence[str], pixels: Any) -> Tensor | None:
    if asked is None:
        return None
    if isinstance(asked, str):
        if asked != "balanced":
            raise UnconvError(f"class weights {asked!r}: give 'balanced', or one number a class")
        return balanced(pixels())
    weights = torch.tensor(asked, dtype=torch.float32)
    if len(weights) != len(classes):
        raise UnconvError(f"class weights: {len(weights)} numbers for {len(classes)} classes; give one a class")
    if not bool(((weights >= 0) & weights.isfinite()).all()) or not bool(weights.any()):
        raise UnconvError(f"class weights {', '.join(f'{w:g}' for w in asked)}: give finite numbers, none below 0")
    return weights
