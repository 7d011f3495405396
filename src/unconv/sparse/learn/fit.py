"""Fitting: from settings and images to the state of learning, in memory, online, or from a checkpoint on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch

from unconv.jobs import Checkpoint, Running, iterate, raising_causes, run
from unconv.jobs.progress import bar, quiet
from unconv.sparse.learn.first_kernels import first_kernels
from unconv.sparse.learn.image_sources import Loaded, Portion, Source
from unconv.sparse.learn.learning import PORTION, TYPES, Learning, State, describe, initial
from unconv.sparse.learn.parameters import (
    constraint_for,
    dtype_of,
    first_penalty,
    seed_from,
    sizes_of,
    thread_count,
)

# What a result does not depend on, or what is told by the images and the first kernels: it may change between a run
# and the one that resumes it.
_FREE = (
    "n_jobs",
    "executor",
    "checkpoint",
    "checkpoint_seconds",
    "progress",
    "callback",
    "max_iter",
    "init",
    "penalty",
    "random_state",
    "channel_axis",
    "low_pass",
    "output",
    "pools",
)


def fit_state(settings: Mapping[str, Any], source: Source) -> State:
    """The state after all rounds, or after all passes over the images.

    ``settings`` are the parameters of a :class:`~unconv.DictionaryLearner`, by name.
    """
    seed = seed_from(settings["random_state"], settings["checkpoint"] is not None)
    sample = source.sample()
    learning = _learning(settings, source, sample)
    return _run(settings, learning, _first(settings, learning, sample, seed), seed)


def fit_more(settings: Mapping[str, Any], source: Source, state: State | None) -> State:
    """The state after one more minibatch, of all the images of a source."""
    sample = source.sample()
    learning = _learning(settings, source, sample)
    if state is None:
        state = _first(settings, learning, sample, seed_from(settings["random_state"], False))
    parts = [source.load(portion) for portion in source.portions(PORTION)]
    loaded = Loaded(
        tuple(index for part in parts for index in part.indices),
        tuple(image for part in parts for image in part.images),
        tuple(one for part in parts for one in part.masks),
    )
    return learning.minibatch(replace(state, codes={}), loaded)


def _learning(settings: Mapping[str, Any], source: Source, sample: Loaded) -> Learning:
    sizes = sizes_of(settings["n_kernels"], settings["kernel_size"], sample.images[0].ndim - 1)
    return Learning(
        source=source,
        constraint=constraint_for(settings["constraint"], sizes),
        boundary=settings["boundary"],
        nonnegative=bool(settings["nonnegative"]),
        threads=thread_count(settings["n_jobs"]),
        forgetting=settings["forgetting"],
        tol=settings["tol"],
        tell=settings["callback"],
    )


def _first(settings: Mapping[str, Any], learning: Learning, sample: Loaded, seed: int) -> State:
    """The state before the first round."""
    generator = torch.Generator().manual_seed(seed)
    images = [image.to(dtype_of(sample.images)) for image in sample.images]
    dictionary = first_kernels(settings["init"], images, learning.constraint, generator)
    # What the images and masks are is found out here, before hours are spent on others.
    problems = learning.problems(initial(dictionary, torch.ones(())), sample)
    return initial(dictionary, first_penalty(settings["penalty"], problems))


def _run(settings: Mapping[str, Any], learning: Learning, state: State, seed: int) -> State:
    shown = bar() if settings["progress"] else quiet()
    running = Running(settings["executor"], settings["checkpoint"], settings["checkpoint_seconds"], shown)
    checkpoint = _checkpoint(settings, running, learning.source, state, seed)
    with raising_causes():
        if settings["batch_size"] is not None:
            return run(
                learning.minibatches(settings["batch_size"], settings["max_iter"], seed),
                learning.source.load,
                learning.minibatch,
                state=state,
                units="minibatches",
                executor=running.executor,
                checkpoint=checkpoint,
                progress=running.progress,
            ).state

        def portions(_: State, __: int) -> Iterable[Portion]:
            return learning.source.portions(PORTION)

        return iterate(
            settings["max_iter"],
            portions,
            learning.code,
            learning.combine,
            learning.finish,
            model=state,
            start=learning.start,
            stop=learning.stop,
            describe=describe,
            executor=running.executor,
            checkpoint=checkpoint,
            progress=running.progress,
        ).state


def _checkpoint(
    settings: Mapping[str, Any], running: Running, source: Source, state: State, seed: int
) -> Checkpoint | None:
    from unconv.jobs import fingerprint_arrays

    def fingerprint() -> dict[str, Any]:
        settled = {name: _text(value) for name, value in settings.items() if name not in _FREE}
        first = fingerprint_arrays(dictionary=state.dictionary, penalty=state.penalty)
        return {"random_state": seed, **settled, "first": first, "images": source.fingerprint()}

    return running.checkpoint(fingerprint, *TYPES)


def _text(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
