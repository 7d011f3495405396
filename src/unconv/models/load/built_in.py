"""Built-in networks, which MODEL strings name without a source in front: one row each.

Nothing heavy is imported here, so that a help text can name them; ``resolve`` imports a network's file when it is asked
for.
"""

from __future__ import annotations

from dataclasses import dataclass

from unconv.models.load.sources import source_forms


@dataclass(frozen=True)
class BuiltIn:
    """One network of this package.

    Attributes:
        name: what lists show.
        recipe: ``file:function`` in ``unconv.models``; the function takes the name as it was written, then the variant
            where one was, and returns a :class:`~unconv.models.load.recipe.Recipe`.
        variants: what may follow after a colon. A word in capitals stands for any name of a kind (``MODEL``), which the
            recipe checks.
        spellings: other names that are accepted.
        paper: where the network was published.
    """

    name: str
    recipe: str
    variants: tuple[str, ...] = ()
    spellings: tuple[str, ...] = ()
    paper: str = ""

    @property
    def open(self) -> bool:
        """Whether variants beyond the listed ones exist, which only the recipe can know."""
        return any(word.isupper() for word in self.variants)

    def __str__(self) -> str:
        return f"{self.name}[:{'|'.join(self.variants)}]" if self.variants else self.name


FCN = "Long et al. 2015, arXiv:1605.06211"
UNET = "Ronneberger et al. 2015, arXiv:1505.04597"
DCGAN = "Radford et al. 2016, arXiv:1511.06434"

BUILT_IN = (
    BuiltIn(
        "efficientnet-lite0", "efficientnet_lite:efficientnet_lite0_recipe", paper="Tan & Le 2019, arXiv:1905.11946"
    ),
    BuiltIn("lenet5", "lenet5:lenet5_recipe", paper="LeCun et al. 1998"),
    BuiltIn("alexnet-two-tower", "alexnet:alexnet_recipe", paper="Krizhevsky et al. 2012"),
    BuiltIn("zfnet", "zfnet:zfnet_recipe", paper="Zeiler & Fergus 2013, arXiv:1311.2901"),
    BuiltIn(
        "zfnet-28",
        "zfnet28:zfnet28_recipe",
        paper="after Zeiler & Fergus 2013, arXiv:1311.2901",
        spellings=("zfnet28",),
    ),
    BuiltIn(
        "factorized",
        "factorized:factorized_recipe",
        paper="layers of Wang et al. 2016, arXiv:1608.04337",
        variants=("standard", "depthwise", "single", "topological", "bottleneck"),
    ),
    BuiltIn("compact", "compact:compact_recipe", paper="after Simonyan & Zisserman 2015, arXiv:1409.1556"),
    BuiltIn("fcn32s", "fcn_on:fcn_recipe", paper=FCN, variants=("MODEL", "fixed", "MODEL,fixed")),
    BuiltIn("fcn16s", "fcn_on:fcn_recipe", paper=FCN, variants=("MODEL", "fixed", "MODEL,fixed")),
    BuiltIn("fcn8s", "fcn_on:fcn_recipe", paper=FCN, variants=("MODEL", "fixed", "MODEL,fixed")),
    BuiltIn("unet", "unet:unet_recipe", paper=UNET, variants=("UPSAMPLER",)),
    BuiltIn("unet-small", "unet:unet_recipe", paper=UNET, variants=("UPSAMPLER",)),
    BuiltIn("dcgan", "dcgan:dcgan_recipe", paper=DCGAN, variants=("UPSAMPLER", "WIDTH")),
    BuiltIn("dcgan-32", "dcgan:dcgan_recipe", paper=DCGAN, variants=("UPSAMPLER", "WIDTH")),
)


def built_in_names() -> tuple[str, ...]:
    """The names of all rows, as lists show them.

    >>> "zfnet-28" in built_in_names()
    True
    """
    return tuple(row.name for row in BUILT_IN)


def model_forms() -> str:
    """What a MODEL may be, for help texts and messages.

    >>> model_forms()
    'efficientnet-lite0, ... torchvision:NAME, timm:NAME, hf:NAME_OR_FOLDER, file.py:callable, FILE.onnx or FILE.pt2'
    """
    return ", ".join([*map(str, BUILT_IN), source_forms()])


def find_built_in(name: str) -> BuiltIn | None:
    """The row of a name in one of its spellings, None where there is none.

    >>> find_built_in("zfnet28").name
    'zfnet-28'
    """
    return next((row for row in BUILT_IN if name in (row.name, *row.spellings)), None)
