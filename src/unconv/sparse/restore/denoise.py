"""Denoising: what a dictionary says in few words is the image, what it cannot say is the noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unconv.arguments import tell_wrong_arguments
from unconv.choices import Boundary, Noise, Solver
from unconv.describe import listed
from unconv.errors import SparseError
from unconv.sparse.code.encoding import Encoding
from unconv.sparse.code.penalty import InverseCorrelation, Penalty
from unconv.sparse.code.validate import as_image, kernel_channels
from unconv.sparse.learn.dictionaries import dictionary_for, opened
from unconv.sparse.learn.parameters import LOW_PASS
from unconv.sparse.restore.coding import Controls, code_in_turns
from unconv.sparse.restore.colour import planes_for, take_opacity
from unconv.sparse.restore.inpaint import inpaint
from unconv.sparse.restore.lowpass import bands_of, renamed_strength
from unconv.sparse.restore.noise import estimate_noise, find_impulses
from unconv.sparse.restore.restored import Restored
from unconv.sparse.types import DictionarySource, ImageLike, PenaltyLike

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A coefficient of which the noise alone is THRESHOLD·σ in size is just left out; POWER: how much cheaper larger ones
# are. Both from SPORCO's butterfly and three other photographs at σ 0.03 to 0.25.
THRESHOLD = 3.6
POWER = 1.5


@dataclass(frozen=True, eq=False, repr=False)
class Denoised(Restored):
    """What :func:`denoise` returns.

    Attributes:
        image: the restored image, of the shape given; it may leave the range of the noisy one by a little.
        sigma: standard deviation of the noise, given or estimated; one value a coded plane (lightness and two opponent
            colours where a grey dictionary meets a colour picture). Of impulses: empty.
        impulses: which values were replaced, None where the noise is Gaussian.
        encodings: the codes of the detail, one a turn of the dictionary.
    """

    image: Float[Tensor, "channels ..."]
    sigma: Float[Tensor, " planes"]
    impulses: Bool[Tensor, "channels ..."] | None
    encodings: tuple[Encoding, ...]

    def plot(self, noisy: ImageLike | None = None, clean: ImageLike | None = None) -> Figure:
        """Draw the restored image, beside the noisy one and a clean one where they are given, with PSNR to the latter.

        Without the noisy one, what was replaced stands beside it, of impulses. Raises MissingExtraError where
        matplotlib is not installed, SparseError where shapes differ.
        """
        given = {"noisy": noisy, "denoised": self.image, "clean": clean}
        if noisy is None and self.impulses is not None:
            given = {"denoised": self.image, "replaced": self.impulses.to(self.image), "clean": clean}
        return self._beside(given)

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield from super()._facts()
        if self.impulses is None:
            yield "noise", f"Gaussian, standard deviation {listed(f'{sigma:.4g}' for sigma in self.sigma.tolist())}"
        else:
            yield "noise", f"impulses, {int(self.impulses.sum()):,} values of {self.impulses.numel():,} replaced"


@tell_wrong_arguments
def denoise(
    image: ImageLike,
    dictionary: DictionarySource | None = None,
    *,
    noise: Noise = "gaussian",
    sigma: float | None = None,
    penalty: PenaltyLike | None = None,
    low_pass: float | None = None,
    turns: int = 2,
    boundary: Boundary = "crop",
    tol: float = 1e-2,
    solver: Solver = "auto",
    threads: int | None = None,
    strength: float | None = None,
) -> Denoised:
    """Take Gaussian or impulse noise out of an image.

    Gaussian: the slow part stays (:func:`~unconv.sparse.restore.lowpass.split`); the detail s is coded with the penalty
    λ_i = (3.6σ)^2.5 / |⟨d_i, s⟩|^1.5 for kernels d_i of unit norm, and its reconstruction taken. The penalty is that of
    Wohlberg (2017, §8), with another power: a coefficient that noise could have made is dear, a large one nearly
    free. It is a threshold at 3.6σ where kernels do not overlap. The mean is taken over several turns of the
    dictionary, whose errors differ.

    Impulse: values that do not belong to their neighbourhood (:func:`~unconv.sparse.restore.noise.find_impulses`) are
    taken for unknown and filled in by :func:`~unconv.sparse.restore.inpaint.inpaint`; all others stay as they are.

    >>> noisy = 0.5 + 0.1 * torch.randn(1, 48, 64, generator=torch.Generator().manual_seed(0))
    >>> result = denoise(noisy, torch.randn(8, 1, 5, 5), sigma=0.1)
    >>> result.image.shape, float((result.image - 0.5).square().mean().sqrt()) < 0.02
    (torch.Size([1, 48, 64]), True)

    Args:
        image: (C, H, W), or (C, T) for signals; uint8 counts as value / 255. Or a picture: a
            file, Pillow's, what ``read_images`` gives. The last of 2 or 4 channels of a picture is opacity and stays as
            it is.
        dictionary: (K, C, *kernel size), (K, 1, *kernel size) for each channel by itself, a name or file for
            :func:`~unconv.sparse.learn.dictionaries.load_dictionary`, a fitted learner; None: the shipped one for grey
            or colour. Kernels are brought to unit norm.
        noise: "gaussian" or "impulse".
        sigma: standard deviation of Gaussian noise; estimated unless given.
        penalty: instead of the rule above; as :func:`~unconv.sparse.code.encode.encode` takes it. For impulses 0.02.
        low_pass: strength of the low-pass, in pixels²; 0: none. None: what a fitted learner took off before it learned,
            with other dictionaries 5; for impulses 2.
        turns: by how many quarter turns of the dictionary, 1 to 4; time grows with it.
        boundary, tol, solver, threads: as for encode.
        strength: the name of ``low_pass`` before.

    Raises :class:`~unconv.errors.SparseError` for what does not fit together.
    """
    low_pass = renamed_strength("denoise", low_pass, strength)
    if noise not in ("gaussian", "impulse"):
        raise SparseError(f"denoise: noise {noise!r} is not known; it is 'gaussian' or 'impulse'")
    if noise == "impulse" and sigma is not None:
        raise SparseError("denoise: sigma is the size of Gaussian noise; leave it out for noise='impulse'")
    dictionary = opened(dictionary)
    picture = as_image(image, "denoise", kernel_channels(dictionary))
    colour, opacity = take_opacity(picture)
    controls = Controls(turns, boundary, tol, solver, threads)
    check_sigma(sigma, colour)
    if noise == "impulse":
        result = _without_impulses(colour, dictionary, penalty, low_pass, controls)
    else:
        result = _without_gaussian(colour, dictionary, sigma, penalty, low_pass, controls)
    if opacity is None:
        return result
    hidden = None if result.impulses is None else torch.cat([result.impulses, torch.zeros_like(opacity).bool()])
    return Denoised(torch.cat([result.image, opacity]), result.sigma, hidden, result.encodings)


def check_sigma(sigma: float | None, picture: Tensor) -> None:
    """Refuse what no noise of these values can have been: more than their whole range.

    >>> check_sigma(25, torch.tensor([[[0.0, 1.0]]]))
    Traceback (most recent call last):
    unconv.errors.SparseError: denoise: sigma 25 is more than the whole range of the values, 0 to 1; of eight bits it is
    25/255 = 0.09804
    """
    if sigma is None:
        return
    if not 0 < sigma < float("inf"):
        raise SparseError(f"denoise: sigma {sigma} is not positive and finite; leave it out to have it estimated")
    least, most = (float(end) for end in torch.aminmax(picture))
    if sigma > most - least > 0:
        bits = (
            f"; of eight bits it is {sigma:g}/255 = {sigma / 255:.4g}" if most - least <= 2 and 1 < sigma < 255 else ""
        )
        raise SparseError(
            f"denoise: sigma {sigma:g} is more than the whole range of the values, {least:.4g} to {most:.4g}{bits}"
        )


def _without_gaussian(
    picture: Tensor,
    dictionary: DictionarySource | None,
    sigma: float | None,
    penalty: PenaltyLike | None,
    low_pass: float | None,
    controls: Controls,
) -> Denoised:
    kernels = dictionary_for(dictionary, picture.shape[0], picture.ndim - 1, "denoise").to(picture)
    planes = planes_for(picture, kernels.shape[1], "denoise")
    sigmas = (
        torch.stack([estimate_noise(plane).square().mean().sqrt() for plane in planes.stack])
        if sigma is None
        else picture.new_full((len(planes.stack),), sigma)
    )
    if low_pass is None:
        low_pass = getattr(dictionary, "low_pass_", LOW_PASS)
    bands = [bands_of(plane, low_pass) for plane in planes.stack]
    noisy = [place for place, level in enumerate(sigmas.tolist()) if level > 0]
    if not noisy:
        return Denoised(picture.clone(), sigmas, None, ())
    detail = torch.stack([bands[place].detail for place in noisy])
    wanted = penalty if penalty is not None else [gaussian_penalty(float(sigmas[place])) for place in noisy]
    encodings, clean = code_in_turns(detail, kernels, wanted, controls)
    restored = planes.stack.clone()
    for place, plane in zip(noisy, clean, strict=True):
        restored[place] = bands[place].low + plane
    return Denoised(planes.join(restored), sigmas, None, encodings)


def gaussian_penalty(sigma: float) -> Penalty:
    """λ_i = (3.6σ)^2.5 / |⟨d_i, s⟩|^1.5: a hundredth of σ bounds the denominator.

    >>> gaussian_penalty(0.1).describe()
    '0.07776 / max(|correlation|^1.5, 3.16228e-05)'
    """
    return InverseCorrelation((THRESHOLD * sigma) ** (POWER + 1), POWER, (0.01 * sigma) ** POWER)


def _without_impulses(
    picture: Tensor,
    dictionary: DictionarySource | None,
    penalty: PenaltyLike | None,
    low_pass: float | None,
    controls: Controls,
) -> Denoised:
    impulses = find_impulses(picture)
    if not bool(impulses.any()):
        return Denoised(picture.clone(), picture.new_zeros(0), impulses, ())
    filled = inpaint(
        picture,
        ~impulses,
        dictionary,
        penalty=0.02 if penalty is None else penalty,
        low_pass=2.0 if low_pass is None else low_pass,
        turns=controls.turns,
        boundary=controls.boundary,
        tol=controls.tol,
        solver=controls.solver,
        threads=controls.threads,
    )
    return Denoised(filled.image, picture.new_zeros(0), impulses, filled.encodings)
