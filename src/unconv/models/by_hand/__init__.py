"""Throw away the neurons: a convolutional network as matrices, forward and back by hand, in numpy alone.

To be read in the order of :mod:`.index`, :mod:`.layers`, :mod:`.network`. A convolution is y = C·x, where x and y are
pictures written as columns of numbers. C is a matrix with few numbers in it, the same ones over and over: row o has the
kernel's weights at the cells that window o lies on.

    forward     y  = C·x        each output cell collects from the cells under its window
    backward    gₓ = Cᵀ·g       each output cell gives its error back to the same cells
    weights     gᵥ = Σ g·xᵀ     taken where C has that weight

So whoever knows which cell lies under which tap of which window knows everything, and that is one array of integers:
``windows``. ``im2col`` reads through it and ``col2im``, its transpose, writes through it; all layers below are these
two and products of matrices. A transposed convolution ("deconvolution") is not another thing: it goes forward by Cᵀ and
back by C. Nor is a fully connected layer: its kernel is as large as its input. There is no neuron in any of this.

    python -m unconv.models.by_hand        trains a small LeNet on scikit-learn's digits, some seconds

Arrays are (batch, channels, height, width). Every layer has three functions: ``first`` makes its weights, ``forward``
returns the output and what the way back needs, ``backward`` returns the error of the input and those of the weights.
The architecture is LeNet's: Y. LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proc. IEEE 86
(11), 1998.
"""

from __future__ import annotations

from unconv.models.by_hand.index import (
    Array as Array,
    Size as Size,
    col2im as col2im,
    im2col as im2col,
    matrix as matrix,
    output_size as output_size,
    windows as windows,
)
from unconv.models.by_hand.layers import (
    Convolution as Convolution,
    Layer as Layer,
    MaxPooling as MaxPooling,
    Squash as Squash,
    Subsampling as Subsampling,
    TransposedConvolution as TransposedConvolution,
    Weights as Weights,
)
from unconv.models.by_hand.network import (
    accuracy as accuracy,
    backward as backward,
    cross_entropy as cross_entropy,
    forward as forward,
    small_lenet as small_lenet,
    train as train,
)
