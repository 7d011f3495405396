"""Training for classification: a network tells pictures apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.errors import UnconvError
from unconv.jobs import Executor, Progress, Running, Serial, Threads
from unconv.models.load.resolve import untrained_model
from unconv.train.data.augment import augmentation, check_shift
from unconv.train.data.examples import PictureExamples
from unconv.train.data.labelled import pictures_of
from unconv.train.loop.loop import train, trainer_for
from unconv.train.loop.settings import Settings
from unconv.train.show.confusion_table import confusion_matrix
from unconv.train.tasks.trained import Trained, load_result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Classifier(Trained):
    """A network that was trained to tell classes apart; the measure of an epoch is its accuracy.

    Attributes:
        confusion: of the pictures held out, by their class (row) and the one they are taken for (column).
    """

    confusion: Tensor

    @property
    def accuracy(self) -> float:
        """The part of the pictures held out that the network names rightly."""
        return self.epoch.held_out["accuracy"]


@tell_wrong_arguments
def classify(
    model: str = "zfnet-28",
    data: Any = None,
    settings: Settings | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    flip: bool | None = None,
    shift: float = 0.08,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_seconds: float = 30.0,
    log: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Classifier:
    """Train a network, from its first weights, to tell the classes of some pictures apart.

    The mean cross-entropy of the scores is minimised by :func:`~unconv.train.loop.loop.fit`.

    Args:
        model: a MODEL string; the network gets as many outputs as the data has classes.
        data: a folder of pictures for each class, ``digits``, ``cifar10:DIR``, …: see
            :func:`~unconv.train.data.labelled.pictures_of`. None: Fashion-MNIST, see
            :func:`~unconv.data.fashion.find_fashion`.
        settings: Settings() unless given.
        size: height and width of the pictures it is given, unless the model says so.
        mean: subtracted from pictures in [0, 1].
        std: what they are divided by.
        flip: half of the pictures are mirrored left to right; None: unless they are digits.
        shift: pictures are moved by up to this part of their side.
        executor: reads the pictures of each step; :class:`~unconv.jobs.Threads` where they are files, unless given.
        checkpoint: a folder; a training that was killed is resumed from there and ends the same.
        checkpoint_seconds: how often it is written.
        log: a folder for files of TensorBoard.
        progress: as :func:`unconv.jobs.bar` makes it; counts epochs.

    Raises ModelError for the model, ImageError for the data, UnconvError where they do not fit or the loss is not
    finite, JobError for a checkpoint of another training.
    """
    settings = settings or Settings()
    check_shift(shift)
    pictures = pictures_of(data, settings.seed)
    flip = pictures.mirror if flip is None else flip
    loaded = untrained_model(model, len(pictures.classes), seed=settings.seed, size=size, mean=mean, std=std)
    pictures = pictures.prepared(loaded.preprocess)
    measure = partial(scores, classes=len(pictures.classes))
    about = {
        "model": loaded.name,
        "data": pictures.name,
        "classes": list(pictures.classes),
        "preprocess": loaded.preprocess.to_dict(),
        "flip": flip,
        "shift": shift,
    }
    running = Running(
        executor or (Threads() if isinstance(pictures.train, PictureExamples) else Serial()),
        checkpoint,
        checkpoint_seconds,
        progress,
        log,
    )
    result = train(
        trainer_for(loaded.module, measure, pictures.train, settings),
        pictures.train,
        pictures.held_out,
        settings,
        running,
        score=lambda numbers: numbers["accuracy"],
        augment=augmentation(flip, shift),
        about=about,
    )
    trained = load_result(
        loaded, result, settings, about, classes=pictures.classes, notes=(*pictures.notes, *loaded.notes)
    )
    confusion = confusion_matrix(trained.network.module, pictures.held_out, len(pictures.classes))
    return Classifier(**vars(trained), confusion=confusion)


def scores(outputs: Tensor, targets: Tensor, classes: int) -> dict[str, Tensor]:
    """Cross-entropy −log softmax(s)_t of the scores s and the class t of each picture, and whether s is largest there.

    Args:
        outputs: scores (batch, classes).
        targets: numbers of the classes (batch,).
        classes: how many there are.

    Raises UnconvError for outputs of another kind or shape.

    >>> measured = scores(torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1]), classes=2)
    >>> measured["loss"], measured["accuracy"]
    (tensor([0.1269, 0.6931]), tensor([1., 0.]))
    """
    if not isinstance(outputs, Tensor):
        raise UnconvError(
            f"train: the network returns a {type(outputs).__name__}; scores (batch, {classes}) are needed"
        )
    if outputs.ndim != 2 or outputs.shape[1] != classes:
        raise UnconvError(
            f"train: the network returns shape {tuple(outputs.shape)} for {len(targets)} pictures of {classes} "
            f"classes; scores ({len(targets)}, {classes}) are needed"
        )
    return {
        "loss": F.cross_entropy(outputs, targets, reduction="none"),
        "accuracy": (outputs.argmax(1) == targets).to(torch.float32),
    }
