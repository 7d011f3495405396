"""Transformers by a dictionary: images to codes and features, and back, cleaned, filled in and drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.choices import Boundary, CodeOutput, Noise
from unconv.errors import SparseError
from unconv.sparse.code.boundary import check_boundary
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.code.validate import load_images, only_one
from unconv.sparse.estimator.coder import Coder, as_codes
from unconv.sparse.estimator.features import (
    as_pools,
    codes_as,
    codes_from_csr,
    feature_names,
    pool_codes,
    resolve_output,
)
from unconv.sparse.estimator.layout import Arranged, ChannelAxis, arrange
from unconv.sparse.estimator.not_fitted import not_fitted
from unconv.sparse.estimator.protocol import Estimator, container_of, in_container, index_of
from unconv.sparse.learn.parameters import thread_count
from unconv.sparse.restore.denoise import Denoised, denoise
from unconv.sparse.restore.inpaint import Inpainted, inpaint
from unconv.sparse.types import ImageLike, Images, ImageSource, MaskLike, PenaltyLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class DictionaryTransformer(Estimator):
    """What can be done with a dictionary once it is there; how it comes about is for others to say.

    >>> import torch
    >>> from unconv.sparse.estimator.learner import DictionaryLearner
    >>> generator = torch.Generator().manual_seed(0)
    >>> pictures = torch.rand(3, 1, 16, 16, generator=generator)
    >>> learner = DictionaryLearner(4, 5, 0.1, max_iter=2, random_state=0).fit(pictures)
    >>> learner.transform(pictures, "pooled").shape, learner.transform(pictures, "csr").shape
    ((3, 4), (3, 1600))
    >>> learner.inverse_transform(learner.transform(pictures)).shape, learner.reconstruct(pictures).shape
    (torch.Size([3, 1, 16, 16]), torch.Size([3, 1, 16, 16]))
    >>> learner.denoise(pictures[0], sigma=0.1).image.shape, learner.inpaint(pictures[0], pictures[0] > 0.2).image.shape
    (torch.Size([1, 16, 16]), torch.Size([1, 16, 16]))
    >>> learner.plot().axes[0].get_title(loc="left")
    '4 kernels 5×5, most used first'
    >>> list(learner.set_params(output="pooled").get_feature_names_out()), 0 < learner.score(pictures) < 1
    (['kernel0', 'kernel1', 'kernel2', 'kernel3'], True)

    Attributes:
        dictionary_: (K, C, *kernel size).
        penalty_: λ.
        low_pass_: strength of the low-pass that is taken off before coding; 0: none.
        n_features_in_: numbers in a row, or in an image, where all were in one array.
        feature_names_in_: names of the columns of a data frame.
    """

    boundary: Boundary
    nonnegative: bool
    transform_tol: float
    n_jobs: int | None
    low_pass_: float
    channel_axis: ChannelAxis
    output: CodeOutput
    pools: int | Sequence[int]
    dictionary_: Tensor
    penalty_: Tensor
    n_features_in_: int
    feature_names_in_: np.ndarray[Any, Any]
    # Of what was learned from, without the images themselves.
    _layout: Arranged

    def encode(self, images: Images, *, mask: MaskLike | None = None) -> Encoding:
        """The images coded with what was learned: :func:`~unconv.encode` with this learner's settings.

        What is coded, and what ``reconstruct()`` of the answer gives, is the detail: without the ``low_pass``.
        """
        coder, arranged = self._coder(), self._arranged(images)
        return coder.encode(arranged.images, arranged.mask(mask))

    @tell_wrong_arguments
    def transform(self, images: Images, output: CodeOutput | None = None, *, mask: MaskLike | None = None) -> Any:
        """Codes of the images, as ``output`` says (unless given, as the parameter of that name does).

        "pooled": mean |z_k| in each of the ``pools``, an array (N, K·cells), what a classifier takes; "csr": all
        coefficients as scipy.sparse (N, K·positions); "sparse": one sparse tensor of torch (N, K, *code), or for a list
        of images a tuple of (K, *code); "dense": the same dense. "auto" is "pooled" for rows of numbers (N, T), for
        arrays of numpy and for data frames (:meth:`set_output`), "sparse" for tensors, lists and all else.

        Raises :class:`~unconv.errors.SparseError` for what does not fit together.
        """
        coder, arranged = self._coder(), self._arranged(images)
        container = container_of(self)
        wanted = resolve_output(self.output if output is None else output, arranged.takes_columns, container)
        encoding = coder.encode(arranged.images, arranged.mask(mask))
        if wanted != "pooled":
            return codes_as(encoding.codes, wanted)
        features = pool_codes(encoding, as_pools(self.pools, coder.axes)).cpu().numpy()
        return in_container(features, self._names(wanted), container, index_of(images))

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> np.ndarray[Any, Any]:
        """Names of the columns of "pooled" and "csr": kernel0; with its cell or position (1, 2), kernel0_1_2."""
        self._coder()
        self._layout.check_names(input_features)
        return self._names(resolve_output(self.output, self._layout.takes_columns, container_of(self)))

    def inverse_transform(self, codes: Tensor | Iterable[Tensor] | Any) -> Any:
        """The images Σ_k d_k ∗ z_k that codes stand for, "sparse", "dense" or "csr", laid out as those learned from.

        They lack the ``low_pass`` that was taken off before coding: :meth:`reconstruct` gives it back.
        """
        coder = self._coder()
        if hasattr(codes, "tocsr"):
            wide = codes_from_csr(codes, coder.code_shape(self._layout.size()))
            return self._layout.give_back(coder.synthesize(wide)).numpy()
        if isinstance(codes, list | tuple | Iterator):
            several = (one[None] if isinstance(one, Tensor | np.ndarray) else one for one in codes)
            return [coder.synthesize(as_codes(one, coder.dictionary))[0] for one in several]
        return self._layout.give_back(coder.synthesize(as_codes(codes, coder.dictionary)))

    def reconstruct(self, images: Images, *, mask: MaskLike | None = None) -> Any:
        """What the learner makes of images: their low-pass, where it was taken off, plus Σ_k d_k ∗ z_k."""
        coder, arranged = self._coder(), self._arranged(images)
        made = coder.reconstruct(arranged.images, arranged.mask(mask))
        return arranged.give_back(made) if isinstance(made, Tensor) else made

    def score(self, images: Images, y: object = None, *, mask: MaskLike | None = None) -> float:  # noqa: ARG002
        """What part of the images' energy their codes save, price included: 1 − Σ P(z) / Σ ½‖Ws‖²; higher is better.

        0 where coding saves nothing, 1 where it says all at no price; s is the detail, P the objective. It compares
        dictionaries at one ``penalty`` on images that they have not seen; to choose the penalty, score what comes after
        in a pipeline: a smaller one scores higher here, whatever it is good for.
        """
        coder, arranged = self._coder(), self._arranged(images)
        return coder.saved_energy(arranged.images, arranged.mask(mask))

    def denoise(
        self,
        image: ImageLike,
        *,
        noise: Noise = "gaussian",
        sigma: float | None = None,
        penalty: PenaltyLike | None = None,
        turns: int | None = None,
        tol: float = 1e-2,
    ) -> Denoised:
        """Take noise out of an image with the kernels learned: :func:`~unconv.denoise`, with this low-pass.

        ``turns`` of the kernels: 2 for pictures; 1 for signals, which run one way. The answer's image is (C, *size).
        """
        picture, options = self._restored(image, turns)
        return denoise(picture, self, noise=noise, sigma=sigma, penalty=penalty, tol=tol, **options)

    def inpaint(
        self,
        image: ImageLike,
        mask: MaskLike,
        *,
        penalty: PenaltyLike = 0.02,
        keep_known: bool = True,
        turns: int | None = None,
        tol: float = 1e-2,
    ) -> Inpainted:
        """Fill in what is missing, where ``mask`` is 0, with the kernels learned: :func:`~unconv.inpaint`.

        ``turns`` as for :meth:`denoise`; the mask as for the image with its channels first, as the answer's image is.
        """
        picture, options = self._restored(image, turns)
        return inpaint(picture, mask, self, penalty=penalty, keep_known=keep_known, tol=tol, **options)

    def plot(self, *, title: str | None = None) -> Figure:
        """The kernels, most used first, as a figure of matplotlib."""
        from unconv.sparse.plots.dictionary import plot_dictionary

        self._coder()
        return plot_dictionary(self, title=title)

    def _coder(self) -> Coder:
        if not hasattr(self, "dictionary_"):
            raise not_fitted(f"{type(self).__name__}: nothing is learned yet; call fit first")
        return Coder(
            self.dictionary_,
            self.penalty_,
            self.nonnegative,
            check_boundary(self.boundary),
            self.transform_tol,
            thread_count(self.n_jobs),
            self.low_pass_,
        )

    def _arranged(self, images: ImageSource) -> Arranged:
        """Images laid out like those learned from."""
        arranged = arrange(images, self.channel_axis, self.dictionary_.ndim - 2)
        arranged.check_like(self._layout, type(self).__name__)
        return arranged

    def _names(self, output: CodeOutput) -> np.ndarray[Any, Any]:
        coder = self._coder()
        if output == "pooled":
            return feature_names(len(coder.dictionary), as_pools(self.pools, coder.axes))
        if output == "csr":
            return feature_names(len(coder.dictionary), coder.code_shape(self._layout.size())[1:])
        raise SparseError(f"get_feature_names_out: {output!r} codes have no columns; use output='pooled' or 'csr'")

    def _restored(self, image: ImageLike, turns: int | None) -> tuple[Tensor, dict[str, Any]]:
        """One image with its channels first, and what restoring it has in common."""
        coder = self._coder()
        arranged = arrange([image], self.channel_axis, coder.axes).images
        picture = only_one(load_images(arranged, coder.dictionary, "restore"), "restore")
        return picture, {
            "low_pass": coder.low_pass,
            "turns": (2 if coder.axes == 2 else 1) if turns is None else turns,
            "boundary": coder.boundary,
            "threads": coder.threads,
        }
