"""Training for generation: a network makes pictures like those it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.data.fashion import CLASSES
from unconv.errors import ModelError, UnconvError, printable
from unconv.jobs import Executor, Progress, Running, Serial, Threads
from unconv.models.dcgan import FORMS, Discriminator, Generator
from unconv.models.load.resolve import LoadedModel, load_model, untrained_model
from unconv.models.load.trained import about_trained
from unconv.operators.checkerboard import stride_pattern
from unconv.train.data.examples import Examples, PictureExamples
from unconv.train.data.unlabelled import framed, pictures_without_classes
from unconv.train.loop.loop import train
from unconv.train.loop.settings import Settings
from unconv.train.show.judge import SAMPLES, SEED, Judge, noise, paint_samples
from unconv.train.show.sample_sheet import pattern_scores
from unconv.train.tasks.adversarial import Adversaries, Contest
from unconv.train.tasks.trained import Trained, load_result

# An epoch of Fashion-MNIST takes a minute and a half of one core; what comes out is in docs/train.md.
EPOCHS, BATCH_SIZE, RATE = 4, 64, 5e-4


def usual_settings() -> Settings:
    """Those that ``dcgan-32`` learns Fashion-MNIST with.

    >>> usual_settings().rate
    0.0005
    """
    return Settings(EPOCHS, BATCH_SIZE, RATE, weight_decay=0.0)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Generated(Trained):
    """A generator that was trained; its history has the losses of both networks, and what the judge says.

    ``about`` has what was measured before and after, see :func:`measure_generator`.
    """


@tell_wrong_arguments
def generate(
    model: str = "dcgan-32",
    data: Any = None,
    settings: Settings | None = None,
    contest: Contest | None = None,
    *,
    samples: int = SAMPLES,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
    checkpoint_seconds: float = 30.0,
    log: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Generated:
    """Train a DCGAN, from its first weights, to make pictures like some that it is shown.

    Generator and discriminator are trained against each other by :class:`~unconv.train.tasks.adversarial.Adversaries`;
    after each epoch the classifier of :class:`~unconv.train.show.judge.Judge` measures samples.

    Args:
        model: ``dcgan`` or ``dcgan-32``, with or without the name of an upsampler and a width.
        data: a folder with Fashion-MNIST or with pictures: see
            :func:`~unconv.train.data.unlabelled.pictures_without_classes`. None: Fashion-MNIST, see
            :func:`~unconv.data.fashion.find_fashion`.
        settings: :func:`usual_settings` unless given.
        contest: Contest() unless given.
        samples: how many of the generator's pictures are measured after each epoch.
        executor: reads the pictures of each step; :class:`~unconv.jobs.Threads` where they are files, unless given.
        checkpoint: a folder; a training that was killed is resumed from there and ends the same.
        checkpoint_seconds: how often it is written.
        log: a folder for files of TensorBoard.
        progress: as :func:`unconv.jobs.bar` makes it; counts epochs.

    Raises ModelError for a model that makes no pictures from noise, ImageError for the data, UnconvError where a loss
    is not finite, JobError for a checkpoint of another training.
    """
    settings, contest = settings or usual_settings(), contest or Contest()
    loaded = untrained_model(model, len(CLASSES), seed=settings.seed)
    generator = generator_of(loaded)
    found = pictures_without_classes(data, settings.seed)
    pictures, margin = framed(found, loaded.preprocess)
    judge = Judge(margin, clothes=found.garments is not None, samples=samples)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed + 1)
        discriminator = Discriminator(generator.form)
    about = {
        "model": loaded.name,
        "data": pictures.name,
        "preprocess": loaded.preprocess.to_dict(),
        "samples": samples,
        **asdict(contest),
    }
    first = measure_generator(generator.eval(), judge, pictures.held_out)
    running = Running(
        executor or (Threads() if isinstance(pictures.train, PictureExamples) else Serial()),
        checkpoint,
        checkpoint_seconds,
        progress,
        log,
    )
    result = train(
        Adversaries(generator, discriminator, settings, contest, judge),
        pictures.train,
        pictures.held_out,
        settings,
        running,
        score=nearest,
        about=about,
    )
    trained = load_result(loaded, result, settings, about, notes=found.notes)
    last = measure_generator(generator, judge, pictures.held_out)
    return Generated(**{**vars(trained), "about": {**trained.about, "untrained": first, "trained": last}})


def nearest(numbers: Mapping[str, float]) -> float:
    """The smaller the distance from real pictures, the better.

    >>> nearest({"distance": 2.5, "entropy": 2.3})
    -2.5
    """
    return -numbers["distance"]


def measure_generator(generator: Generator, judge: Judge, held_out: Examples) -> dict[str, Any]:
    """What can be said of a generator in figures.

    ``distance`` of ``samples`` from real pictures (and ``of_real_halves`` from each other, the least that can be
    expected), ``rarest``, ``entropy`` and ``shares`` of the classes where the judge knows them, the
    :func:`~unconv.operators.checkerboard.stride_pattern` of samples and of real pictures at stride 2, and the
    checkerboard score of each layer that doubles the size.

    >>> from unconv.models.dcgan import dcgan_form
    >>> from unconv.train.data.examples import TensorExamples
    >>> black = TensorExamples(torch.full((4, 1, 32, 32), -1.0), torch.zeros(4))
    >>> network, judge = Generator(dcgan_form("dcgan-32", "resize:2")).eval(), Judge(margin=2, samples=200)
    >>> figures = measure_generator(network, judge, black)
    >>> figures["samples"], len(figures["shares"]), figures["of_real_halves"], list(figures["checkerboard"])
    (200, 10, 0.0, ['up1', 'up2', 'up3'])
    """
    samples = paint_samples(generator, noise(judge.samples, SEED))
    seen = judge.look(samples)
    reference = judge.reference(held_out)
    figures: dict[str, Any] = {"samples": judge.samples, **judge.numbers(seen, reference.whole)}
    if judge.clothes:
        figures["shares"] = dict(zip(CLASSES, seen.shares.tolist(), strict=True))
    figures["of_real_halves"] = reference.of_halves
    figures["stride_pattern"] = {"samples": stride_pattern(samples, 2), "real": reference.stride_pattern}
    figures["checkerboard"] = pattern_scores(generator)
    return figures


@tell_wrong_arguments
def load_generator(path: str | PathLike[str]) -> LoadedModel:
    """The generator in a file that ``unconv train generate`` wrote, which says itself what model it is.

    Raises ModelError for a file of another kind.
    """
    path = Path(path)
    model = about_trained(path).get("model")
    if not isinstance(model, str):
        why = "unconv train generate has not written it" if path.is_file() else "there is no such file"
        raise ModelError(f"generator {printable(path)}: {why}; give it a file of unconv train generate")
    if model.partition(":")[0] not in FORMS:
        raise ModelError(f"generator {printable(path)}: it is {printable(model)}, which makes no pictures from noise")
    return load_model(model, weights=path)


@tell_wrong_arguments
def sample(generator: LoadedModel, count: int = 100, seed: int = 0) -> Float[Tensor, "count channels height width"]:
    """Pictures in [0, 1] of a generator, by noise that follows from the seed.

    Raises ModelError where the network is no generator, UnconvError for fewer than one.

    >>> sample(untrained_model("dcgan-32:4", 10), count=3).shape
    torch.Size([3, 1, 32, 32])
    """
    if count < 1:
        raise UnconvError(f"sample: {count} samples; ask for 1 or more")
    return paint_samples(generator_of(generator).eval(), noise(count, seed))


def generator_of(loaded: LoadedModel) -> Generator:
    """The network, if it is a generator.

    >>> generator_of(load_model("zfnet-28"))
    Traceback (most recent call last):
    unconv.errors.ModelError: zfnet-28: makes no pictures from noise; take dcgan or dcgan-32
    """
    if not isinstance(loaded.module, Generator):
        raise ModelError(f"{loaded.name}: makes no pictures from noise; take {' or '.join(FORMS)}")
    return loaded.module
