"""LeNet-5 as it was published: a network for pictures of 32×32, with 60,000 trainable parameters.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of
the IEEE 86(11), 1998, section II.B. Layers carry the paper's names:

- C1: six feature maps, convolution 5×5.
- S2: subsampling, the sum of 2×2 cells times one trained coefficient a map, plus one trained bias a map.
- C3: sixteen maps, convolution 5×5, each of only some of the maps of S2 (table I), "to break symmetry".
- S4: subsampling like S2.
- C5: 120 maps, convolution 5×5, of 1×1 cell each for pictures of 32×32.
- F6: 84 units, fully connected.
- output: for each class the squared distance of F6's units from a fixed pattern, a picture of the digit in 7×12 cells.

What comes out of every layer up to F6 is squashed by f(a) = 1.7159·tanh(2a/3). There is no rectifier and no
max-pooling in it, so that its projections go back by the gradient alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from unconv.errors import ModelError
from unconv.models.blocks.fixed_size import fixed_maps
from unconv.models.load.preprocess import Preprocess
from unconv.models.load.recipe import Recipe, unpublished

SIDE = 32
CLASSES = 10
# f(1) = 1 and f(−1) = −1: the targets lie where the squashing function bends most, not where it is flat.
AMPLITUDE, SLOPE = 1.7159, 2 / 3

# Table I: for each map of C3 the maps of S2 that it is computed from.
C3_TABLE = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)

# Ink is +1, paper −1. In the manner of the paper's figure 3; the drawings are our own.
BITMAPS = """
.#####.  ...##..  .#####.  .#####.  .....#.  #######  ..####.  #######  .#####.  .#####.
##...##  ..###..  ##...##  ##...##  ....##.  ##.....  .##....  ##...##  ##...##  ##...##
##...##  .####..  ##...##  .....##  ...###.  ##.....  ##.....  .....##  ##...##  ##...##
##...##  ...##..  .....##  .....##  ..####.  ##.....  ##.....  ....##.  ##...##  ##...##
##...##  ...##..  .....##  ...###.  .##.##.  ######.  ##.....  ....##.  .##.##.  ##...##
##...##  ...##..  ....##.  ..####.  ##..##.  .....##  ######.  ...##..  ..###..  .######
##...##  ...##..  ...##..  .....##  ##..##.  .....##  ##...##  ...##..  .##.##.  .....##
##...##  ...##..  ..##...  .....##  #######  .....##  ##...##  ..##...  ##...##  .....##
##...##  ...##..  .##....  .....##  ....##.  .....##  ##...##  ..##...  ##...##  .....##
##...##  ...##..  ##.....  ##...##  ....##.  ##...##  ##...##  ..##...  ##...##  ....##.
##...##  ...##..  ##.....  ##...##  ....##.  ##...##  ##...##  ..##...  ##...##  ...##..
.#####.  .######  #######  .#####.  ....##.  .#####.  .#####.  ..##...  .#####.  .###...
"""


def patterns(classes: int = CLASSES) -> Float[Tensor, "classes 84"]:
    """The fixed vectors of ±1 that F6's units are compared with, one a class.

    Up to ten classes get the pictures of the digits. Of more there are no pictures: all get numbers ±1 drawn with equal
    probability (the same ones every time), which the paper names as the other choice.

    >>> patterns().shape, patterns(26).shape
    (torch.Size([10, 84]), torch.Size([26, 84]))
    >>> print("\\n".join("".join(" #"[int(cell > 0)] for cell in row) for row in patterns()[4].view(12, 7)[:8]))
         #
        ##
       ###
      ####
     ## ##
    ##  ##
    ##  ##
    #######
    """
    if classes > CLASSES:
        coins = torch.randint(2, (classes, 84), generator=torch.Generator().manual_seed(0))
        return 2.0 * coins - 1
    rows = [line.split() for line in BITMAPS.split("\n") if line]
    drawn = ["".join(row[digit] for row in rows) for digit in range(classes)]
    return torch.tensor([[1.0 if cell == "#" else -1.0 for cell in digit] for digit in drawn])


class Squash(nn.Module):
    """f(a) = 1.7159·tanh(2a/3).

    >>> Squash()(torch.tensor([-1.0, 0.0, 1.0, 9.0]))
    tensor([-1.0000,  0.0000,  1.0000,  1.7159])
    """

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The squashed values."""
        return AMPLITUDE * torch.tanh(SLOPE * x)


class Subsampling(nn.Module):
    """Trained subsampling: w_m·(sum of 2×2 cells) + b_m for map m, the windows side by side.

    >>> sampled = Subsampling(6)
    >>> sampled(torch.zeros(1, 6, 28, 28)).shape, sum(parameter.numel() for parameter in sampled.parameters())
    (torch.Size([1, 6, 14, 14]), 12)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))
        spread_(self.weight, self.bias, fan_in=4)

    def forward(self, x: Float[Tensor, "*batch channels height width"]) -> Float[Tensor, "*batch channels h w"]:
        """Maps of half the side."""
        sums = F.avg_pool2d(x, 2, divisor_override=1)
        return sums * self.weight[:, None, None] + self.bias[:, None, None]

    def extra_repr(self) -> str:
        """The number of maps."""
        return str(len(self.weight))


class TableConvolution(nn.Module):
    """A convolution in which each map is computed from only some of the maps before it.

    Kernels exist for the connections of the table alone. They are put into the dense array of a common convolution, at
    zeros everywhere else: thirteen times as fast as grouped convolutions, though ``trace`` counts the zeros' MACs too.

    Args:
        table: for each output map the input maps that it is computed from.
        in_channels: how many maps there are before it.
        kernel_size: of all kernels.

    >>> c3 = TableConvolution(C3_TABLE, in_channels=6, kernel_size=5)
    >>> c3(torch.zeros(1, 6, 14, 14)).shape, sum(parameter.numel() for parameter in c3.parameters())
    (torch.Size([1, 16, 10, 10]), 1516)
    """

    outputs: Int64[Tensor, " connections"]
    inputs: Int64[Tensor, " connections"]

    def __init__(self, table: Sequence[Sequence[int]], in_channels: int, kernel_size: int) -> None:
        super().__init__()
        pairs = [(number, source) for number, sources in enumerate(table) for source in sources]
        self.shape = (len(table), in_channels, kernel_size, kernel_size)
        # They follow from the table, and need not be in a file of weights.
        self.register_buffer("outputs", torch.tensor([number for number, _ in pairs]), persistent=False)
        self.register_buffer("inputs", torch.tensor([source for _, source in pairs]), persistent=False)
        self.weight = nn.Parameter(torch.empty(len(pairs), kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(len(table)))
        start = 0
        for number, sources in enumerate(table):
            stop = start + len(sources)
            spread_(self.weight[start:stop], self.bias[number], fan_in=len(sources) * kernel_size**2)
            start = stop

    def dense(self) -> Float[Tensor, "out_channels in_channels height width"]:
        """The kernels with zeros for connections that do not exist."""
        return self.weight.new_zeros(self.shape).index_put((self.outputs, self.inputs), self.weight)

    def forward(self, x: Float[Tensor, "*batch in_channels height width"]) -> Float[Tensor, "*batch channels h w"]:
        """The maps, not padded."""
        return F.conv2d(x, self.dense(), self.bias)

    def extra_repr(self) -> str:
        """Channels, kernel and connections."""
        return f"{self.shape[1]}, {self.shape[0]}, kernel_size={self.shape[2:]}, connections={len(self.weight)}"


class PatternDistance(nn.Module):
    """Euclidean radial basis functions: −Σ_j (x_j − w_ij)² for class i, with fixed w.

    The sign makes the nearest pattern the largest score, so that softmax, cross-entropy and argmax mean what they do
    elsewhere: −(squared distance) is the logarithm of a Gaussian around the pattern, but for a constant.

    >>> output = PatternDistance(10)
    >>> scores = output(output.patterns)
    >>> scores.argmax(1).tolist(), bool((scores.diagonal() == 0).all())
    ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], True)
    """

    patterns: Float[Tensor, "classes 84"]

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("patterns", patterns(classes))

    def forward(self, x: Float[Tensor, "batch 84"]) -> Float[Tensor, "batch classes"]:
        """Scores, at most 0."""
        return -(x[:, None] - self.patterns).square().sum(-1)

    def extra_repr(self) -> str:
        """Units and classes."""
        return f"84, {len(self.patterns)}"


class LeNet5(nn.Module):
    """LeNet-5 (LeCun et al. 1998, section II.B): 60,000 trainable parameters.

    Args:
        num_classes: how many patterns F6 is compared with; more than ten are drawn at random, see ``patterns``.

    Takes grey pictures (batch, 1, 32, 32), ink high and paper low, and returns scores (batch, classes), minus the
    squared distances from the patterns. Raises ModelError for pictures of another size.

    >>> model = LeNet5().eval()
    >>> model(torch.zeros(2, 1, 32, 32)).shape, sum(parameter.numel() for parameter in model.parameters())
    (torch.Size([2, 10]), 60000)
    >>> [name for name, _ in model.features.named_children()]
    ['c1', 'squash1', 's2', 'squash2', 'c3', 'squash3', 's4', 'squash4']
    >>> [name for name, _ in model.classifier.named_children()]
    ['c5', 'squash5', 'flatten', 'f6', 'squash6', 'output']
    """

    def __init__(self, num_classes: int = CLASSES) -> None:
        super().__init__()
        if num_classes < 1:
            raise ModelError(f"lenet5: {num_classes} classes; there must be at least one")
        self.features = nn.Sequential(
            OrderedDict(
                c1=started(nn.Conv2d(1, 6, 5)),
                squash1=Squash(),
                s2=Subsampling(6),
                squash2=Squash(),
                c3=TableConvolution(C3_TABLE, in_channels=6, kernel_size=5),
                squash3=Squash(),
                s4=Subsampling(16),
                squash4=Squash(),
            )
        )
        self.classifier = nn.Sequential(
            OrderedDict(
                c5=started(nn.Conv2d(16, 120, 5)),
                squash5=Squash(),
                flatten=nn.Flatten(),
                f6=started(nn.Linear(120, 84)),
                squash6=Squash(),
                output=PatternDistance(num_classes),
            )
        )

    def forward(self, x: Float[Tensor, "batch 1 height width"]) -> Float[Tensor, "batch classes"]:
        """Minus the squared distances from the patterns."""
        scores: Tensor = self.classifier(fixed_maps("lenet5", self.features, x, (SIDE, SIDE), (5, 5)))
        return scores


def spread_(weight: Tensor, bias: Tensor, fan_in: int) -> None:
    """Fill with uniform numbers between ±2.4/F, F the inputs of a unit, as the paper starts (section on the sigmoid).

    >>> weight, bias = torch.empty(8, 6), torch.empty(8)
    >>> spread_(weight, bias, fan_in=6)
    >>> bool(weight.abs().max() <= 0.4)
    True
    """
    with torch.no_grad():
        weight.uniform_(-2.4 / fan_in, 2.4 / fan_in)
        bias.uniform_(-2.4 / fan_in, 2.4 / fan_in)


def started(layer: nn.Conv2d | nn.Linear) -> nn.Module:
    """A layer of torch's with the paper's first weights."""
    assert layer.bias is not None
    spread_(layer.weight, layer.bias, fan_in=layer.weight[0].numel())
    return layer


def map_loss(
    scores: Float[Tensor, "batch classes"], targets: Int64[Tensor, " batch"], rubbish: float
) -> Float[Tensor, " batch"]:
    """The paper's training criterion, maximum a posteriori: y_D + log(e^(−j) + Σ_i e^(−y_i)), its equation 9.

    y_i are squared distances: it is the cross-entropy of the scores with one more class, which no picture has and whose
    score is always −j. A wrong class whose pattern is much further away than that is not pushed away any more.

    Args:
        scores: minus squared distances, as the network returns them.
        targets: D, the right class of each picture.
        rubbish: j, positive; the paper names no value.

    >>> map_loss(torch.tensor([[-0.5, -3.0]]), torch.tensor([0]), rubbish=1.0)
    tensor([0.5239])
    """
    fence = scores.new_full((len(scores), 1), -rubbish)
    return F.cross_entropy(torch.cat([scores, fence], 1), targets, reduction="none")


def lenet5_recipe(name: str = "lenet5") -> Recipe:
    """The network, with pictures scaled and framed as the paper has them: −0.1 for paper, 1.175 for ink.

    The picture covers 28×28, in a frame of paper two cells wide. Ink is bright here, as in MNIST's files.

    >>> preprocess = lenet5_recipe().preprocess
    >>> preprocess.input_size, preprocess.normalise(torch.tensor([[[0.0, 1.0]]]))
    ((1, 32, 32), tensor([[[-0.1000,  1.1750]]]))
    """
    span = 1.175 + 0.1
    return unpublished(
        name,
        lambda classes: LeNet5() if classes is None else LeNet5(classes),
        Preprocess(size=(SIDE, SIDE), resize=(28, 28), mean=(0.1 / span,), std=(1 / span,)),
        train="classify",
    )
