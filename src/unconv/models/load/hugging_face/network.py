"""Networks of transformers' own classes, made from the values of config.json."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from unconv.errors import MissingExtraError, ModelError, one_line, printable
from unconv.models.load.hugging_face.hub import cache_alone


@dataclass(frozen=True)
class Network:
    """A class of transformers, and the configuration that it is made with."""

    where: str
    values: Mapping[str, Any]
    kind: Any

    @property
    def channels(self) -> int:
        """Of the pictures that it takes."""
        told = self.values.get("num_channels")
        return told if isinstance(told, int) else 3

    @property
    def sides(self) -> tuple[int, int] | None:
        """Height and width of the pictures that it was made for, None where it takes any."""
        told = self.values.get("image_size")
        sides = (told, told) if isinstance(told, int) else tuple(told) if isinstance(told, list) else ()
        return (sides[0], sides[1]) if len(sides) == 2 and all(isinstance(one, int) for one in sides) else None

    def configuration(self, classes: int | None = None) -> Any:
        try:
            made = self.kind.config_class.from_dict(copy.deepcopy(dict(self.values)))
        except Exception as error:  # each configuration checks its values in its own way
            raise ModelError(f"{self.where}: config.json is refused by transformers: {error}") from error
        if classes is not None:
            made.num_labels = classes
        return made

    def build(self, classes: int | None) -> nn.Module:
        configuration = self.configuration(classes)
        with quiet():
            try:
                made: nn.Module = self.kind._from_config(configuration)
            except Exception as error:  # likewise, each network
                raise ModelError(f"{self.where}: cannot be built by transformers: {one_line(error)}") from error
        return made.eval()


def transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise MissingExtraError("hf:NAME_OR_FOLDER", "transformers") from error


def find_class(where: str, values: Mapping[str, Any]) -> Any:
    """The class that config.json names, of transformers' own; for one that names none, that which classifies."""
    package = transformers()
    kind, named = values["model_type"], values.get("architectures") or []
    if kind not in package.CONFIG_MAPPING:
        raise ModelError(
            f"{where}: {printable(kind)} is not a network of transformers {package.__version__}, and code beside the "
            "weights is not run; a newer transformers may know it, or give a Python file with a function that returns "
            "it: FILE.py:FUNCTION"
        )
    configuration = package.CONFIG_MAPPING[kind]
    if not named:
        known = (package.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING, package.MODEL_MAPPING)
        found: Any = next((one[configuration] for one in known if configuration in one), None)
        found = found[0] if isinstance(found, tuple) else found
    else:
        found = getattr(package, str(named[0]), None) if str(named[0]).isidentifier() else None
    of_package = isinstance(found, type) and issubclass(found, package.PreTrainedModel)
    if not of_package or getattr(found, "config_class", None) is not configuration:
        architecture = printable(str(named[0])) if named else f"a network for {printable(kind)}"
        raise ModelError(
            f"{where}: {architecture} is not in transformers {package.__version__}, and code beside the weights is not "
            "run; give a Python file with a function that returns it: FILE.py:FUNCTION"
        )
    if found.main_input_name != "pixel_values":
        raise ModelError(
            f"{where}: {found.__name__} takes {found.main_input_name}, not pictures alone; give a Python file with a "
            "function that returns the part that takes pictures: FILE.py:FUNCTION"
        )
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Where transformers neither reports on the standard error, which is the caller's, nor asks the hub."""
    log = importlib.import_module("transformers.utils.logging")
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity(log.CRITICAL)
    log.disable_progress_bar()
    try:
        with cache_alone(True):
            yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()
