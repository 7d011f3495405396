"""A trained network: what every task returns, made from the result of the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from unconv.models.load.resolve import LoadedModel
from unconv.models.load.trained import save_trained
from unconv.train.loop.result import Epoch, Fitted
from unconv.train.loop.settings import Settings


@dataclass(frozen=True, eq=False, kw_only=True)
class Trained:
    """A network that was trained.

    Attributes:
        network: with its weights, in evaluation mode.
        history: an entry for each epoch.
        epoch: the entry whose weights these are: the last, or with ``patience`` the best.
        about: model, data, classes, settings and history.
        skipped: pictures that could not be read, and why.
        resumed: steps that an earlier run had done.
        notes: what was assumed or found out on the way.
    """

    network: LoadedModel
    history: tuple[Epoch, ...]
    epoch: Epoch
    about: Mapping[str, Any]
    skipped: tuple[str, ...] = ()
    resumed: int = 0
    notes: tuple[str, ...] = ()

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the weights to a safetensors file that ``load_model(MODEL, weights=path)`` reads, classes included."""
        return save_trained(self.network.module.state_dict(), Path(path), self.about)


def load_result(
    loaded: LoadedModel,
    result: Fitted,
    settings: Settings,
    about: Mapping[str, Any],
    *,
    classes: tuple[str, ...] | None = None,
    notes: tuple[str, ...] = (),
) -> Trained:
    """The network with the weights that the loop came to, and what is known of them.

    Args:
        loaded: its module takes the weights.
        about: what belongs to the task, ``"data"`` among it.
        classes: of the outputs; those of ``loaded`` unless given.
        notes: those that come before the loop's.
    """
    loaded.module.load_state_dict(result.weights)
    return Trained(
        network=replace(
            loaded,
            module=loaded.module.eval(),
            classes=loaded.classes if classes is None else classes,
            weights=f"trained on {about['data']}",
        ),
        history=result.history,
        epoch=result.epoch,
        about={
            **about,
            "settings": asdict(settings),
            "history": [asdict(epoch) for epoch in result.history],
            "epoch": result.epoch.number,
        },
        skipped=result.skipped,
        resumed=result.resumed,
        notes=(*notes, *result.notes),
    )
