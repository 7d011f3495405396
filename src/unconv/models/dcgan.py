"""DCGAN: pictures from noise by fractionally strided convolutions, and the network that judges them.

A. Radford, L. Metz and S. Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks" (ICLR 2016, arXiv:1511.06434, 2015), section 3 and figure 1: no pooling, but strides in the
discriminator and fractional strides in the generator; batch normalisation in both, not at the generator's output and
not at the discriminator's input; no fully connected layers but the projection of the noise and the last dot product;
rectifiers and a tanh in the generator, leaky rectifiers of slope 0.2 in the discriminator; weights from N(0, 0.02²).
What the paper leaves open is as in the first author's code for 64×64 (github.com/Newmu/dcgan_code, faces): noise
uniform in [−1, 1], kernels 5×5, no biases, scales from N(1, 0.02²), and each number of the projection normalised by
itself.

``dcgan`` at 64×64, colour, width 128:

=============  ==============  ==========================  ===========================  ==========
generator      output          weights                     scales and offsets of norms  parameters
=============  ==============  ==========================  ===========================  ==========
project        1024×4×4        100 · 16384                 2 · 16384                     1,671,168
up1            512×8×8         1024 · 512 · 25             2 · 512                      13,108,224
up2            256×16×16       512 · 256 · 25              2 · 256                       3,277,312
up3            128×32×32       256 · 128 · 25              2 · 128                         819,456
up4            3×64×64         128 · 3 · 25                                                  9,600
=============  ==============  ==========================  ===========================  ==========

The discriminator is the same the other way round: 3 · 128 · 25, 128 · 256 · 25 + 2 · 256, 256 · 512 · 25 + 2 · 512,
512 · 1024 · 25 + 2 · 1024, and 1024 · 4 · 4 for the dot product.

``dcgan-32`` has one doubling less, for grey pictures of 32×32, a quarter of the width, and kernels 4×4, which the
stride divides. Either takes any layer of :func:`unconv.upsample.upsampler` in place of its own, ``dcgan-32:resize``,
and another width behind, ``dcgan-32:resize:16`` or ``dcgan-32:16``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from unconv.choices import UpsamplerName
from unconv.errors import ModelError, printable
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe, nearest, unpublished
from unconv.upsample import SubPixel2d, icnr_
from unconv.upsample.upsamplers import UPSAMPLERS, upsampler, upsampler_name

LATENT = 100
SIDE = 4  # of the maps that the noise is projected to
SLOPE = 0.2
DEVIATION = 0.02


@dataclass(frozen=True)
class Form:
    """What a DCGAN is made of.

    Attributes:
        channels: of the pictures.
        doublings: from 4×4 to their size.
        width: feature maps next to the picture; each doubling away from it has twice as many.
        kernel_size: of the strided convolutions, and of the transposed ones unless ``upsampler`` says otherwise.
        upsampler: name of the layers that double the size; None: transposed convolutions, the mirror image of the
            discriminator's.

    >>> Form(channels=1, doublings=3, width=32, kernel_size=4).size, Form(3, 4, 128, 5).maps
    (32, (1024, 512, 256, 128))
    """

    channels: int
    doublings: int
    width: int
    kernel_size: int
    upsampler: UpsamplerName | None = None

    @property
    def size(self) -> int:
        """Side of the pictures."""
        return SIDE << self.doublings

    @property
    def maps(self) -> tuple[int, ...]:
        """Numbers of feature maps, from those of 4×4 on."""
        return tuple(self.width << n for n in reversed(range(self.doublings)))


FORMS: Mapping[str, Form] = {"dcgan": Form(3, 4, 128, 5), "dcgan-32": Form(1, 3, 32, 4)}


class Generator(nn.Module):
    """From noise to a picture in [−1, 1]: projection, doublings, tanh.

    Takes noise (batch, 100) or (batch, 100, 1, 1). Raises ModelError for anything else.

    >>> import torch
    >>> generator = Generator(FORMS["dcgan-32"])
    >>> generator(torch.zeros(2, 100)).shape, generator(torch.zeros(2, 100, 1, 1)).shape
    (torch.Size([2, 1, 32, 32]), torch.Size([2, 1, 32, 32]))
    >>> sum(parameter.numel() for parameter in Generator(FORMS["dcgan"]).parameters())
    18885760
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        first = form.maps[0]
        cells = first * SIDE * SIDE
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            project=nn.Linear(LATENT, cells, bias=False),
            norm0=nn.BatchNorm1d(cells),
            relu0=nn.ReLU(),
            reshape=nn.Unflatten(1, (first, SIDE, SIDE)),
        )
        outputs = (*form.maps[1:], form.channels)
        for number, (before, after) in enumerate(zip(form.maps, outputs, strict=True), start=1):
            layers[f"up{number}"] = _doubling(form, before, after)
            if number < form.doublings:
                layers[f"norm{number}"] = nn.BatchNorm2d(after)
                layers[f"relu{number}"] = nn.ReLU()
        layers["tanh"] = nn.Tanh()
        self.layers = nn.Sequential(layers)
        _initialise(self)
        if form.upsampler == "sub-pixel-icnr":
            for module in self.modules():
                if isinstance(module, SubPixel2d):
                    icnr_(module.conv.weight, module.scale_factor, _normal)

    def forward(self, noise: Float[Tensor, "batch numbers *ones"]) -> Float[Tensor, "batch channels height width"]:
        """The pictures."""
        if tuple(noise.shape[1:]) not in ((LATENT,), (LATENT, 1, 1)):
            shape = "x".join(map(str, noise.shape[1:]))
            raise ModelError(
                f"dcgan: input {shape}; its generator takes noise, {LATENT} numbers a picture: {LATENT} or {LATENT}x1x1"
            )
        pictures: Tensor = self.layers(noise.flatten(1))
        return pictures


class Discriminator(nn.Module):
    """From a picture in [−1, 1] to the logarithm of its odds to be a real one (the sigmoid is part of the loss).

    Raises ModelError for pictures of another size.

    >>> import torch
    >>> Discriminator(FORMS["dcgan-32"])(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2])
    >>> sum(parameter.numel() for parameter in Discriminator(FORMS["dcgan"]).parameters())
    17232768
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        before = form.channels
        for number, after in enumerate(reversed(form.maps), start=1):
            layers[f"conv{number}"] = nn.Conv2d(
                before, after, form.kernel_size, stride=2, padding=(form.kernel_size - 1) // 2, bias=False
            )
            if number > 1:
                layers[f"norm{number}"] = nn.BatchNorm2d(after)
            layers[f"relu{number}"] = nn.LeakyReLU(SLOPE)
            before = after
        layers["flatten"] = nn.Flatten()
        layers["judge"] = nn.Linear(before * SIDE * SIDE, 1, bias=False)
        self.layers = nn.Sequential(layers)
        _initialise(self)

    def forward(self, pictures: Float[Tensor, "batch channels height width"]) -> Float[Tensor, " batch"]:
        """One number a picture."""
        wanted = (self.form.channels, self.form.size, self.form.size)
        if tuple(pictures.shape[1:]) != wanted:
            shapes = ("x".join(map(str, shape)) for shape in (pictures.shape[1:], wanted))
            raise ModelError("dcgan: the discriminator is given {}, it takes {}".format(*shapes))
        logits: Tensor = self.layers(pictures).squeeze(1)
        return logits


def dcgan_form(name: str, variant: str | None = None) -> Form:
    """What a name and its variant, ``[UPSAMPLER][:WIDTH]``, ask for.

    Raises ModelError for words that are neither, and a width of 0.

    >>> dcgan_form("dcgan-32", "resize:16")
    Form(channels=1, doublings=3, width=16, kernel_size=4, upsampler='resize')
    >>> dcgan_form("dcgan-32", "cubic")
    Traceback (most recent call last):
    unconv.errors.ModelError: dcgan-32:cubic: no such variant; it is [UPSAMPLER][:WIDTH], UPSAMPLER one of ...
    """
    own = FORMS[name]
    words = [] if variant is None else variant.split(":")
    kind = upsampler_name(words.pop(0)) if words and not words[0].isdecimal() else None
    width = words.pop(0) if words and words[0].isdecimal() else None
    if words or (kind is not None and kind not in UPSAMPLERS):
        raise ModelError(
            f"{name}:{printable(variant or '')}: no such variant; it is [UPSAMPLER][:WIDTH], UPSAMPLER one of "
            f"{', '.join(UPSAMPLERS)}{nearest(kind or '', UPSAMPLERS, f'{name}:')}"
        )
    if width is not None and int(width) < 1:
        raise ModelError(f"{name}: width {width}; give 1 or more")
    return replace(own, upsampler=kind, width=own.width if width is None else int(width))


def dcgan_recipe(name: str = "dcgan", variant: str | None = None) -> Recipe:
    """The generator; the picture transform is the one that its discriminator sees real pictures through.

    >>> dcgan_recipe("dcgan-32").preprocess.input_size
    (1, 32, 32)
    """
    form = dcgan_form(name, variant)
    sides, half = (form.size, form.size), (0.5,) * form.channels
    full = name if variant is None else f"{name}:{variant}"
    return unpublished(
        full,
        # Noise has no classes: whatever their number, the network is the same.
        build=lambda _classes: Generator(form),
        preprocess=Preprocess(size=sides, resize=sides, mean=half, std=half),
        train="generate",
        takes=(LATENT,),
    )


def _doubling(form: Form, inputs: int, outputs: int) -> nn.Module:
    if form.upsampler is None:
        # The transpose of the discriminator's convolution, of the two sizes that it can come to the larger.
        padding = (form.kernel_size - 1) // 2
        left_over = 2 + 2 * padding - form.kernel_size
        return nn.ConvTranspose2d(inputs, outputs, form.kernel_size, 2, padding, left_over, bias=False)
    layer = upsampler(form.upsampler, inputs, outputs)
    for module in layer.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_parameter("bias", None)
    return layer


_normal = partial(nn.init.normal_, std=DEVIATION)


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            _normal(module.weight)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, DEVIATION)
