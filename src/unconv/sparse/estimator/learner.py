"""Dictionary learning as an estimator, with the habits of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, Literal

import numpy as np
from torch import Tensor
from typing_extensions import Self

from unconv._renamed import warn_renamed
from unconv.arguments import tell_wrong_arguments
from unconv.choices import Boundary, CodeOutput, KernelConstraint, Mode
from unconv.errors import SparseError
from unconv.jobs import Executor
from unconv.sparse.estimator.features import check_pools, resolve_output
from unconv.sparse.estimator.layout import Arranged, ChannelAxis, arrange, kernel_axes_of
from unconv.sparse.estimator.protocol import DEPRECATED
from unconv.sparse.estimator.transformer import DictionaryTransformer
from unconv.sparse.learn.fit import fit_more, fit_state
from unconv.sparse.learn.image_sources import Source, Stream, axes_of, learning_source
from unconv.sparse.learn.learning import Round, State
from unconv.sparse.learn.parameters import check_settings, low_pass_of
from unconv.sparse.restore.details import high_passed
from unconv.sparse.types import Images, ImageSource, InitLike, MaskLike, PenaltyLike, RandomState


class DictionaryLearner(DictionaryTransformer):
    """Kernels d_k with which images are sums of few pieces: s ≈ Σ_k d_k ∗ z_k.

    min over D and z of Σ_images ½‖W(s − Σ_k d_k ∗ z_k)‖² + λ‖z‖₁ with ‖d_k‖ = 1 (Zeiler et al. 2010; Wohlberg 2016).
    Codes and dictionary take turns; the dictionary step sees only sums over the codes (Mairal et al. 2010), so batch
    and online learning are one algorithm, and the images need not be in memory. In batch mode the objective never
    rises from round to round.

    A picture is learned from, coded and restored without its slow part, which small kernels cannot say: ``low_pass``.

    >>> import torch
    >>> learner = DictionaryLearner(n_kernels=4, kernel_size=5, penalty="0.1max", random_state=0, max_iter=3)
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
        max_iter: rounds, or online, passes over the images (a stream that cannot be had again is passed over once).
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
        low_pass: strength of the low-pass that is taken off first, in pixels², as
            :func:`~unconv.sparse.restore.lowpass.split` does; 0: none; "auto": 5 for pictures, none for signals.
        channel_axis: which axis of an array (N, …) holds the channels; None: it has none. "auto": (N, T),
            (N, C, H, W), and three axes are (N, C, T), or (N, H, W) where ``kernel_size`` has two axes.
        output: what :meth:`transform` returns: "pooled", "csr", "sparse", "dense", or "auto".
        pools: how many cells along each axis, or one number for each, "pooled" features are means over.
        max_rounds: the name of ``max_iter`` before.

    Attributes:
        dictionary_: (K, C, *kernel size); smaller kernels have zeros behind them.
        kernel_use_: (K,) non-zeros of each kernel, in the last round, online in all.
        history_: a Round for each round or minibatch.
        n_iter_: how many there are.
        penalty_: λ as it was used.
        low_pass_: strength of the low-pass as it was used.
        skipped_: files that were no picture, and why.
        n_features_in_: numbers in a row, or in an image, where all were in one array.
        feature_names_in_: names of the columns of a data frame.
    """

    kernel_use_: Tensor
    history_: tuple[Round, ...]
    n_iter_: int
    skipped_: tuple[str, ...]

    @tell_wrong_arguments
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
        max_iter: int = 50,
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
        low_pass: float | Literal["auto"] = "auto",
        channel_axis: ChannelAxis = "auto",
        output: CodeOutput = "auto",
        pools: int | Sequence[int] = 1,
        max_rounds: int | Literal["deprecated"] = DEPRECATED,
    ) -> None:
        self.n_kernels = n_kernels
        self.kernel_size = kernel_size
        self.penalty = penalty
        self.boundary = boundary
        self.constraint = constraint
        self.nonnegative = nonnegative
        self.init = init
        self.max_iter = max_iter
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
        self.low_pass = low_pass
        self.channel_axis = channel_axis
        self.output = output
        self.pools = pools
        self.max_rounds = max_rounds

    @tell_wrong_arguments
    def fit(self, images: ImageSource, y: object = None, *, mask: MaskLike | None = None) -> Self:  # noqa: ARG002
        """Learn from images, as arrays of these axes or as any other source.

        Arrays: (N, T) signals, a row each, (N, H, W), (N, C, H, W), (N, C, T), and channels elsewhere by
        ``channel_axis``; lists of images of any sizes; and what
        :func:`~unconv.sparse.learn.image_sources.learning_source` reads: files, folders, data sets, streams. Integers
        are numbers, but eight bits count as value / 255.

        ``mask`` W ≥ 0 as for :func:`~unconv.encode`, laid out like the images. Raises
        :class:`~unconv.errors.SparseError` for what does not fit together, and :class:`~unconv.jobs.JobError` where a
        checkpoint is of another run.
        """
        settings = self._settings()
        arranged = arrange(images, self.channel_axis, kernel_axes_of(self.kernel_size, self.init))
        source = learning_source(arranged.images, arranged.mask(mask), self.mode)
        if isinstance(source, Stream) and not source.again and self.batch_size is None:
            raise SparseError(
                "learn: an iterator can be gone through only once; give batch_size to learn online, or a list"
            )
        low_pass = low_pass_of(self.low_pass, axes_of(source))
        source = high_passed(source, low_pass, keep=self.batch_size is None)
        self._keep(fit_state(settings, source), source, arranged, low_pass)
        return self

    def partial_fit(self, images: ImageSource, y: object = None, *, mask: MaskLike | None = None) -> Self:  # noqa: ARG002
        """Go on learning online, with these images as one minibatch."""
        settings = self._settings()
        state: State | None = getattr(self, "_state", None)
        if state is None:
            arranged = layout = arrange(images, self.channel_axis, kernel_axes_of(self.kernel_size, self.init))
        else:
            arranged, layout = self._arranged(images), self._layout
        source = learning_source(arranged.images, arranged.mask(mask), self.mode)
        low_pass = low_pass_of(self.low_pass, axes_of(source)) if state is None else self.low_pass_
        source = high_passed(source, low_pass)
        self._keep(fit_more(settings, source, state), source, layout, low_pass)
        return self

    @tell_wrong_arguments
    def fit_transform(self, images: Images, y: object = None, *, mask: MaskLike | None = None) -> Any:
        """Learn from images that are in memory, and code them: ``fit(images).transform(images)``."""
        return self.fit(images, y, mask=mask).transform(images, mask=mask)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What was pickled; a learner from before there was a low-pass goes on without."""
        if "max_iter" not in state:
            new = {"low_pass": 0.0, "low_pass_": 0.0, "_layout": Arranged(None)}
            renamed = {"max_iter": state.get("max_rounds", 50), "max_rounds": DEPRECATED}
            state = self._defaults() | new | state | renamed
        self.__dict__.update(state)

    def _settings(self) -> dict[str, Any]:
        """The parameters by name, checked; old names under the new ones."""
        settings = self.get_params()
        rounds = settings.pop("max_rounds")
        if rounds != DEPRECATED:
            warn_renamed("DictionaryLearner: max_rounds is max_iter now")
            settings["max_iter"] = rounds
        check_settings(settings)
        resolve_output(self.output, True, "default")
        check_pools(self.pools)
        return settings

    def _keep(self, state: State, source: Source, layout: Arranged, low_pass: float) -> None:
        self._state = state
        self.low_pass_ = low_pass
        self._layout = replace(layout, images=None)
        self.dictionary_ = state.dictionary
        self.kernel_use_ = state.use
        self.history_ = state.history
        self.n_iter_ = len(state.history)
        self.penalty_ = state.penalty
        self.skipped_ = tuple(str(source.skipped[number]) for number in sorted(source.skipped))
        for name in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)
        if layout.n_features is not None:
            self.n_features_in_ = layout.n_features
        if layout.names is not None:
            self.feature_names_in_ = np.array(layout.names, dtype=object)
