"""Spelling of sizes, paddings and lists on the command line."""

from __future__ import annotations

import re

from unconv.choices import PaddingName
from unconv.errors import GeometryError, UnconvError

SAME = ("same", "same_upper", "same_lower", "valid")


def sizes(option: str, text: str) -> int | tuple[int, ...]:
    """A number, or one number per axis joined by x.

    >>> sizes("-k", "3"), sizes("-i", "7x5")
    (3, (7, 5))
    """
    if not re.fullmatch(r"\d+(x\d+)*", text, re.ASCII):
        raise GeometryError(f"{option} {text!r} is not a size; write a whole number, or one per axis: 5, 7x5, 4x5x6")
    numbers = tuple(map(int, text.split("x")))
    return numbers if len(numbers) > 1 else numbers[0]


def padding(option: str, text: str) -> int | PaddingName | tuple[int, ...] | tuple[tuple[int, int], ...]:
    """A number, one per axis, before:after per axis, or a kind of SAME.

    >>> padding("-p", "1"), padding("-p", "1x0"), padding("-p", "1:2x0:1"), padding("-p", "same_upper")
    (1, (1, 0), ((1, 2), (0, 1)), 'same_upper')
    """
    if text in SAME:
        return text  # type: ignore[return-value]
    if not re.fullmatch(r"\d+(:\d+)?(x\d+(:\d+)?)*", text, re.ASCII):
        raise GeometryError(
            f"{option} {text!r} is not a padding; write 1, 1x0, before:after per axis as 1:2x0:1, or {', '.join(SAME)}"
        )
    ends = [tuple(map(int, axis.split(":"))) for axis in text.split("x")]
    if all(len(pair) == 1 for pair in ends):
        return ends[0][0] if len(ends) == 1 else tuple(pair[0] for pair in ends)
    return tuple((pair[0], pair[-1]) for pair in ends)


def all_axes(option: str, text: str, dims: int | None) -> tuple[int, ...]:
    """An input size: one number fills ``dims`` axes, 2 unless told.

    >>> all_axes("-i", "5", None), all_axes("-i", "5", 1), all_axes("-i", "7x5", None)
    ((5, 5), (5,), (7, 5))
    """
    size = sizes(option, text)
    if isinstance(size, int):
        return (size,) * (dims or 2)
    if dims is not None and dims != len(size):
        raise GeometryError(f"{option} {text} has {len(size)} axes, --dims says {dims}; leave out one of the two")
    return size


# Arguments of Python that messages name, and that the command line has as options.
_ARGUMENTS = "data|force|layers|max_pixels|output|random_weights|top|weights"


def in_shell(message: str) -> str:
    """A message that names arguments of Python, with the options that they are here; calls and code stay.

    >>> in_shell("lenet5: no trained weights; random_weights=True leaves it untrained and weights=FILE takes yours")
    'lenet5: no trained weights; --random-weights leaves it untrained and --weights FILE takes yours'
    >>> in_shell("scan with layers=['conv1', 'conv2'], or load_model(MODEL, weights='a.pt')")
    "scan with --layers conv1,conv2, or load_model(MODEL, weights='a.pt')"
    """

    def spelled(found: re.Match[str]) -> str:
        option = "--" + found["name"].replace("_", "-")
        value = re.sub(r"[\[\]' ]", "", found["value"]) if found["value"][0] in "['" else found["value"]
        return option if value == "True" else f"{option} {value}"

    # No argument of a call stands behind a space alone.
    return re.sub(rf"(?<=[^,] )(?P<name>{_ARGUMENTS})=(?P<value>\[[^\]]*\]|[^\s;)]*[^\s;),.])", spelled, message)


def channels(option: str, text: str) -> tuple[int, int]:
    """Channels in and out: 3x2, or one number for both.

    >>> channels("--channels", "3x2"), channels("--channels", "4")
    ((3, 2), (4, 4))
    """
    size = sizes(option, text)
    if isinstance(size, int):
        return size, size
    if len(size) != 2:
        raise GeometryError(f"{option} {text!r} must be channels in and out, as 3x2")
    return size[0], size[1]


def names(text: str | None) -> list[str] | None:
    """Names joined by commas.

    >>> names("features.3, features.8"), names(None)
    (['features.3', 'features.8'], None)
    """
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def numbers(option: str, text: str | None) -> list[float] | None:
    """Numbers joined by commas.

    >>> numbers("--mean", "0.5"), numbers("--std", "0.1, 0.2,0.3"), numbers("--mean", None)
    ([0.5], [0.1, 0.2, 0.3], None)
    """
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UnconvError(f"{option} {text!r} is not a number; write one, or one a channel joined by commas") from None


def indices(option: str, text: str | None) -> list[int] | None:
    """Whole numbers from 0, joined by commas.

    >>> indices("--units", "3"), indices("--units", "3, 17"), indices("--units", None)
    ([3], [3, 17], None)
    """
    parts = names(text)
    if parts is None:
        return None
    if not parts or not all(part.isascii() and part.isdigit() for part in parts):
        raise UnconvError(f"{option} {text!r} is not a list of indices; write 3 or 3,17,40")
    return [int(part) for part in parts]


def picture_size(option: str, text: str | None) -> tuple[int, ...] | None:
    """Height and width, one number for both; frames, height and width of clips.

    >>> picture_size("--size", "192x256"), picture_size("--size", "224"), picture_size("--size", "16x112x112")
    ((192, 256), (224, 224), (16, 112, 112))
    """
    size = None if text is None else sizes(option, text)
    return size if isinstance(size, tuple) and len(size) == 3 else sides(option, text)


def sides(option: str, text: str | None) -> tuple[int, int] | None:
    """Height and width; one number for both.

    >>> sides("--size", "192x256"), sides("--size", "224"), sides("--size", None)
    ((192, 256), (224, 224), None)
    """
    if text is None:
        return None
    height, width = all_axes(option, text, 2)
    return height, width
