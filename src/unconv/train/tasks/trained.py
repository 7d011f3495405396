"""A trained network: what every task returns, made from the result of the loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unconv.describe import listed
from unconv.models.load.resolve import LoadedModel
from unconv.models.load.trained import save_trained
from unconv.results import Plotted, Tabled, draw_with
from unconv.train.loop.result import Epoch, Fitted
from unconv.train.loop.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Trained(Tabled, Plotted):
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

    def plot(self) -> Figure:
        """Draw what was measured after each epoch, and the confusion matrix where there is one.

        As :func:`~unconv.train.show.history_figure.plot_history` does. Raises MissingExtraError where matplotlib is not
        installed.
        """
        confusion, classes = getattr(self, "confusion", None), self.network.classes or ()
        draw = "unconv.train.show.history_figure:plot_history"
        figure: Figure = draw_with(draw, self.history, confusion, classes, self.epoch.number)
        return figure

    def _heading(self) -> str:
        return f"{type(self).__name__} {self.network.name}, {self.network.weights}"

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "epochs", f"{len(self.history)}; the weights are those of epoch {self.epoch.number}"
        for name, numbers in (("training", self.epoch.train), ("held out", self.epoch.held_out)):
            yield name, listed((f"{key} {value:.4g}" for key, value in numbers.items()), most=8)
        if self.network.classes:
            yield "classes", f"{len(self.network.classes)}: {listed(self.network.classes)}"
        if self.resumed:
            yield "resumed", f"{self.resumed:,} steps were done by an earlier run"
        if self.skipped:
            yield "skipped", f"{len(self.skipped)}: {listed(self.skipped, most=3)}"
        if self.notes:
            yield "notes", "; ".join(self.notes)

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        for epoch in self.history:
            sides = {"train": epoch.train, "held_out": epoch.held_out}
            told = {f"{side}_{name}": value for side, numbers in sides.items() for name, value in numbers.items()}
            yield {"epoch": epoch.number, **told}


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
