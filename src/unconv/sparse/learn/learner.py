"""Dictionary learning as an estimator, with the habits of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Self

from unconv.choices import Boundary, KernelConstraint
from unconv.data.arrays import Mode
from unconv.errors import SparseError
from unconv.jobs import Checkpoint, Executor, Running, iterate, raising_causes, run
from unconv.jobs.progress import bar, quiet
from unconv.sparse.code.encode import encode
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.code.synthesize import synthesize_sparse
from unconv.sparse.learn.constraints import Constraint
from unconv.sparse.learn.estimator import Estimator
from unconv.sparse.learn.image_sources import Loaded, Portion, Source, Stream, learning_source
from unconv.sparse.learn.learning import PORTION, TYPES, Learning, Round, State, describe, initial
from unconv.sparse.learn.parameters import (
    check_settings,
    constraint_for,
    dtype_of,
    first_penalty,
    seed_from,
    sizes_of,
    thread_count,
)
from unconv.sparse.types import Images, ImageSource, InitLike, MaskLike, PenaltyLike, RandomState

# What a result does not depend on: it may change between a run and the one that resumes it.
_FREE = (
    "n_jobs",
    "executor",
    "checkpoint",
    "checkpoint_seconds",
    "progress",
    "callback",
    "max_rounds",
    "init",
    "penalty",
    "random_state",
)


class DictionaryLearner(Estimator):
    """Kernels d_k with which images are sums of few pieces: s ≈ Σ_k d_k ∗ z_k.

    min over D and z of Σ_images ½‖W(s − Σ_k d_k ∗ z_k)‖² + λ‖z‖₁ with ‖d_k‖ = 1 (Zeiler et al. 2010; Wohlberg 2016).
    Codes and dictionary take turns; the dictionary step sees only sums over the codes (Mairal et al. 2010), so batch
    and online learning are one algorithm, and the images need not be in memory. In batch mode the objective never
    rises from round to round.

    >>> learner = DictionaryLearner(n_kernels=4, kernel_size=5, penalty="0.1max", random_state=0, max_rounds=3)
    >>> images = torch.rand(2, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    >>> codes = learner.fit_transform(images)
    >>> learner.dictionary_.shape, codes.shape, learner.inverse_transform(codes).shape
    (torch.Size([4, 1, 5, 5]), torch.Size([2, 4, 28, 28]), torch.Size([2, 1, 24, 24]))

    Args:
        n_kernels: K; None where ``kernel_size`` counts them.
        kernel_size: a number of taps per axis, one for each axis, or for several sizes a list of (count, size).
        penalty: λ: a number; K numbers; an array that broadcasts to (K, *code); "0.1max" for that part of the smallest
            λ at which the first dictionary finds nothing (in up to 32 of the images).
        boundary: "crop", "valid" or "circular", as for :func:`~unconv.encode`.
        constraint: "unit" (always so), "zero_mean", "nonnegative", "zero_border", or several.
        nonnegative: whether codes are ≥ 0.
        init: "random" numbers; "patches" of the images, which are better in the first ten rounds and tend to end in
            worse dictionaries, as pieces of one thing are cut out at several shifts; or an array (K, C, *kernel size).
        max_rounds: rounds, or online, passes over the images (a stream that cannot be had again is passed over once).
        batch_size: None codes all images, then improves the dictionary, and keeps the codes for the next round; a
            number does so for that many images at a time, and keeps none: online.
        forgetting: online, how much the past counts at each minibatch, 0 to 1; None: (1 − 1/t)⁵ at the t-th.
        tol: stop once a round gains less than this part of the objective (batch).
        transform_tol: relative duality gap of :meth:`transform`.
        random_state: an int, a generator of torch or numpy, or None for another result each time (with a checkpoint:
            0, since what is resumed must repeat).
        n_jobs: threads; None: as many as torch uses, -1: all cores. The result does not depend on it.
        executor: computes the portions of images (online: reads them), each with ``n_jobs`` threads; the result does
            not depend on it either. :class:`~unconv.jobs.Serial` unless given.
        checkpoint: a folder; a run that was killed is resumed from there, to the same bits.
        checkpoint_seconds: how often it is written.
        progress: whether to show a bar.
        callback: called with each :class:`~unconv.sparse.learn.learning.Round` and the dictionary after it.
        mode: how picture files are read: "rgb", "grey" or "keep".

    Attributes:
        dictionary_: (K, C, *kernel size); smaller kernels have zeros behind them.
        kernel_use_: (K,) non-zeros of each kernel, in the last round, online in all.
        history_: a Round for each round or minibatch.
        n_iter_: how many there are.
        penalty_: λ as it was used.
        skipped_: files that were no picture, and why.
    """

    dictionary_: Tensor
    kernel_use_: Tensor
    history_: tuple[Round, ...]
    n_iter_: int
    penalty_: Tensor
    skipped_: tuple[str, ...]

    def __init__(
        self,
        n_kernels: int | None = 64,
        kernel_size: int | Sequence[Any] = 8,
        penalty: PenaltyLike = 0.1,
        *,
        boundary: Boundary = "crop",
        constraint: KernelConstraint | Sequence[KernelConstraint] = "unit",
        nonnegative: bool = False,
        init: InitLike = "random",
        max_rounds: int = 50,
        batch_size: int | None = None,
        forgetting: float | None = None,
        tol: float = 1e-3,
        transform_tol: float = 1e-3,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        executor: Executor | None = None,
        checkpoint: str | PathLike[str] | None = None,
        checkpoint_seconds: float = 30.0,
        progress: bool = False,
        callback: Callable[[Round, Tensor], None] | None = None,
        mode: Mode = "rgb",
    ) -> None:
        self.n_kernels = n_kernels
        self.kernel_size = kernel_size
        self.penalty = penalty
        self.boundary = boundary
        self.constraint = constraint
        self.nonnegative = nonnegative
        self.init = init
        self.max_rounds = max_rounds
        self.batch_size = batch_size
        self.forgetting = forgetting
        self.tol = tol
        self.transform_tol = transform_tol
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.executor = executor
        self.checkpoint = checkpoint
        self.checkpoint_seconds = checkpoint_seconds
        self.progress = progress
        self.callback = callback
        self.mode = mode

    def fit(self, images: ImageSource, y: object = None, *, mask: MaskLike | None = None) -> Self:  # noqa: ARG002
        """Learn from images: see :func:`~unconv.sparse.learn.image_sources.learning_source` for what they may be.

        ``mask`` W ≥ 0 as for :func:`~unconv.encode`. Raises :class:`~unconv.errors.SparseError` for what does not fit
        together, and :class:`~unconv.jobs.JobError` where a checkpoint is of another run.
        """
        check_settings(self.get_params())
        source = learning_source(images, mask, self.mode)
        if isinstance(source, Stream) and not source.again and self.batch_size is None:
            raise SparseError(
                "learn: an iterator can be gone through only once; give batch_size to learn online, or a list"
            )
        seed = seed_from(self.random_state, self.checkpoint is not None)
        sample = source.sample()
        learning = self._learning(source, sample)
        state = self._first(learning, sample, seed)
        self._keep(self._run(learning, state, seed), source)
        return self

    def partial_fit(self, images: ImageSource, y: object = None, *, mask: MaskLike | None = None) -> Self:  # noqa: ARG002
        """Go on learning online, with these images as one minibatch."""
        check_settings(self.get_params())
        source = learning_source(images, mask, self.mode)
        sample = source.sample()
        learning = self._learning(source, sample)
        state: State | None = getattr(self, "_state", None)
        if state is None:
            state = self._first(learning, sample, seed_from(self.random_state, False))
        every = source.portions(PORTION)
        parts = [source.load(portion) for portion in every]
        loaded = Loaded(
            tuple(index for part in parts for index in part.indices),
            tuple(image for part in parts for image in part.images),
            tuple(one for part in parts for one in part.masks),
        )
        self._keep(learning.minibatch(replace(state, codes={}), loaded), source)
        return self

    def encode(self, images: Images, *, mask: MaskLike | None = None) -> Encoding:
        """The images coded with what was learned: :func:`~unconv.encode` with this learner's settings."""
        return encode(
            images,
            self._learned(),
            self.penalty_,
            mask=mask,
            nonnegative=self.nonnegative,
            boundary=self.boundary,
            tol=self.transform_tol,
            threads=thread_count(self.n_jobs),
        )

    def transform(self, images: Images, *, mask: MaskLike | None = None) -> Tensor | tuple[Tensor, ...]:
        """Codes of the images: one sparse tensor (N, K, *code), or for a list of images a tuple of (K, *code)."""
        return self.encode(images, mask=mask).codes

    def fit_transform(
        self, images: Images, y: object = None, *, mask: MaskLike | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Learn from images that are in memory, and code them."""
        return self.fit(images, y, mask=mask).transform(images, mask=mask)

    def inverse_transform(self, codes: Tensor | Iterable[Tensor]) -> Tensor | list[Tensor]:
        """The images Σ_k d_k ∗ z_k that codes stand for."""
        dictionary = self._learned()
        change = {"crop": -1, "valid": 1, "circular": 0}[self.boundary]
        pictures = []
        for one in codes:
            found = (one if one.layout == torch.sparse_coo else one.to_sparse()).coalesce()
            size = [n + change * (taps - 1) for n, taps in zip(found.shape[1:], dictionary.shape[2:], strict=True)]
            values = found.values()
            pictures.append(synthesize_sparse(found.indices(), values, dictionary.to(values), self.boundary, size))
        return torch.stack(pictures) if isinstance(codes, Tensor) and pictures else pictures

    def _learned(self) -> Tensor:
        if not hasattr(self, "dictionary_"):
            raise SparseError("learn: nothing is learned yet; call fit first")
        return self.dictionary_

    def _learning(self, source: Source, sample: Loaded) -> Learning:
        return Learning(
            source=source,
            constraint=self._constraint(sample),
            boundary=self.boundary,
            nonnegative=bool(self.nonnegative),
            threads=thread_count(self.n_jobs),
            forgetting=self.forgetting,
            tol=self.tol,
            tell=self.callback,
        )

    def _constraint(self, sample: Loaded) -> Constraint:
        sizes = sizes_of(self.n_kernels, self.kernel_size, sample.images[0].ndim - 1)
        return constraint_for(self.constraint, sizes)

    def _first(self, learning: Learning, sample: Loaded, seed: int) -> State:
        """The state before the first round."""
        from unconv.sparse.learn.first_kernels import first_kernels

        generator = torch.Generator().manual_seed(seed)
        images = [image.to(dtype_of(sample.images)) for image in sample.images]
        dictionary = first_kernels(self.init, images, learning.constraint, generator)
        # What the images and masks are is found out here, before hours are spent on others.
        problems = learning.problems(initial(dictionary, torch.ones(())), sample)
        return initial(dictionary, first_penalty(self.penalty, problems))

    def _run(self, learning: Learning, state: State, seed: int) -> State:
        shown = bar() if self.progress else quiet()
        running = Running(self.executor, self.checkpoint, self.checkpoint_seconds, shown)
        checkpoint = self._checkpoint(running, learning.source, state, seed)
        with raising_causes():
            if self.batch_size is not None:
                return run(
                    learning.minibatches(self.batch_size, self.max_rounds, seed),
                    learning.source.load,
                    learning.minibatch,
                    state=state,
                    executor=running.executor,
                    checkpoint=checkpoint,
                    progress=running.progress,
                ).state

            def portions(_: State, __: int) -> Iterable[Portion]:
                return learning.source.portions(PORTION)

            return iterate(
                self.max_rounds,
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

    def _checkpoint(self, running: Running, source: Source, state: State, seed: int) -> Checkpoint | None:
        from unconv.jobs import fingerprint_arrays

        def fingerprint() -> dict[str, Any]:
            settled = {name: _text(value) for name, value in self.get_params().items() if name not in _FREE}
            first = fingerprint_arrays(dictionary=state.dictionary, penalty=state.penalty)
            return {"random_state": seed, **settled, "first": first, "images": source.fingerprint()}

        return running.checkpoint(fingerprint, *TYPES)

    def _keep(self, state: State, source: Source) -> None:
        self._state = state
        self.dictionary_ = state.dictionary
        self.kernel_use_ = state.use
        self.history_ = state.history
        self.n_iter_ = len(state.history)
        self.penalty_ = state.penalty
        self.skipped_ = tuple(str(source.skipped[number]) for number in sorted(source.skipped))


def _text(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str) else repr(value)
