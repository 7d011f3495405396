"""Training: a loop that knows neither network nor task, and the tasks."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from unconv._lazy import lazy_names

if TYPE_CHECKING:
    from unconv.train.loop.settings import Settings as Settings
    from unconv.train.tasks.classify import Classifier as Classifier, classify as classify
    from unconv.train.tasks.generate import (
        Generated as Generated,
        generate as generate,
        load_generator as load_generator,
        sample as sample,
    )
    from unconv.train.tasks.segment import Segmenter as Segmenter, segment as segment

_HOME = {
    "Settings": "unconv.train.loop.settings",
    "Classifier": "unconv.train.tasks.classify",
    "classify": "unconv.train.tasks.classify",
    "Generated": "unconv.train.tasks.generate",
    "generate": "unconv.train.tasks.generate",
    "load_generator": "unconv.train.tasks.generate",
    "sample": "unconv.train.tasks.generate",
    "Segmenter": "unconv.train.tasks.segment",
    "segment": "unconv.train.tasks.segment",
}

__getattr__, __dir__, __all__ = lazy_names(__name__, _HOME)


class _Train(ModuleType):
    """This package: modules that are imported by their old paths do not hide the functions of the same names."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Train
