"""The photographs that come inside scikit-image: real pictures without a download, in two sets that share nothing."""

from __future__ import annotations

from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from unconv.choices import Split
from unconv.data.images import read_images
from unconv.errors import ImageError, MissingExtraError, printable

# Whole photographs are held out: an animal, a thing, a texture, a view. Those to train on are smooth and busy ones.
# motorcycle_right is left out: it shows what motorcycle_left shows.
PHOTOGRAPHS: dict[str, tuple[str, ...]] = {
    "train": (
        "astronaut.png",
        "brick.png",
        "camera.png",
        "cell.png",
        "coins.png",
        "grass.png",
        "hubble_deep_field.jpg",
        "ihc.png",
        "moon.png",
        "motorcycle_left.png",
        "page.png",
        "retina.jpg",
    ),
    "test": ("chelsea.png", "coffee.png", "gravel.png", "rocket.jpg"),
}


def photographs(split: Split) -> tuple[Float[Tensor, "3 _ _"], ...]:
    """The photographs of one split, in colour, values in [0, 1].

    Raises MissingExtraError without scikit-image, ImageError where it carries another set of pictures.

    >>> [tuple(picture.shape) for picture in photographs("test")][:2]
    [(3, 300, 451), (3, 400, 600)]
    """
    if split not in PHOTOGRAPHS:
        raise ImageError(f"photographs: split {split!r} is unknown; it is 'train' or 'test'")
    return tuple(read_images(path)[0].tensor for path in photograph_files(split))


def photograph_files(split: Split) -> tuple[Path, ...]:
    """Where they are; errors as for photographs."""
    try:
        import skimage
    except ImportError:
        raise MissingExtraError("photographs", "scikit-image", "demo") from None
    folder = Path(skimage.__file__).parent / "data"
    files = tuple(folder / name for name in PHOTOGRAPHS[split])
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise ImageError(
            f"photographs: no {', '.join(missing)} in {printable(folder)}; scikit-image 0.24 to 0.26 carries them"
        )
    return files
