"""Learned upsampling: layers and initialisers for decoders, thin over :mod:`unconv.operators`."""

from unconv.operators.checkerboard import (
    equalised as equalised,
    phase_gains as phase_gains,
    stride_pattern as stride_pattern,
)
from unconv.upsample.bilinear import Bilinear1d as Bilinear1d, Bilinear2d as Bilinear2d, Bilinear3d as Bilinear3d
from unconv.upsample.change.replace import replace as replace
from unconv.upsample.change.replaced import Replaced as Replaced
from unconv.upsample.checkerboard import (
    checkerboard_score as checkerboard_score,
    equalised_ as equalised_,
    overlap as overlap,
)
from unconv.upsample.convert import convert as convert
from unconv.upsample.initialise import (
    bilinear_ as bilinear_,
    bilinear_geometry as bilinear_geometry,
    equalised_phases_ as equalised_phases_,
    icnr_ as icnr_,
)
from unconv.upsample.resize import (
    ResizeConv1d as ResizeConv1d,
    ResizeConv2d as ResizeConv2d,
    ResizeConv3d as ResizeConv3d,
)
from unconv.upsample.sized import conv_transpose_to as conv_transpose_to, reachable_sizes as reachable_sizes
from unconv.upsample.smooth import Smooth as Smooth
from unconv.upsample.subpixel import (
    SubPixel1d as SubPixel1d,
    SubPixel2d as SubPixel2d,
    SubPixel3d as SubPixel3d,
    pixel_shuffle as pixel_shuffle,
)
from unconv.upsample.to_size import (
    ConvTransposeTo1d as ConvTransposeTo1d,
    ConvTransposeTo2d as ConvTransposeTo2d,
    ConvTransposeTo3d as ConvTransposeTo3d,
)
from unconv.upsample.transposed import (
    ConvTranspose1d as ConvTranspose1d,
    ConvTranspose2d as ConvTranspose2d,
    ConvTranspose3d as ConvTranspose3d,
)
from unconv.upsample.unpool import Unpool1d as Unpool1d, Unpool2d as Unpool2d, Unpool3d as Unpool3d
from unconv.upsample.upsamplers import UPSAMPLERS as UPSAMPLERS, upsampler as upsampler
