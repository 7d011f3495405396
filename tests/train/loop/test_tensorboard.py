"""TensorBoard shows the curves of a training, and of one that was killed and resumed the same ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.train.loop.test_loop import SETTINGS, Watched, train
from tests.train.tasks import examples, measure, network
from unconv.errors import MissingExtraError, UnconvError
from unconv.train.loop.loop import fit


def curves(folder: Path) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """Step and value by curve and name, as TensorBoard reads them."""
    found = {}
    for curve in ("steps", "train", "held_out"):
        events = EventAccumulator(str(folder / curve))
        events.Reload()
        for name in events.Tags()["scalars"]:
            found[curve, name] = [(event.step, event.value) for event in events.Scalars(name)]
    return found


def test_curves_are_the_history(tmp_path: Path) -> None:
    fitted = train(log=tmp_path)
    read = curves(tmp_path)
    for name in ("loss", "accuracy"):
        for curve in ("train", "held_out"):
            expected = [(6 * epoch.number, getattr(epoch, curve)[name]) for epoch in fitted.history]
            assert [step for step, _ in read[curve, name]] == [step for step, _ in expected]
            assert [value for _, value in read[curve, name]] == pytest.approx([value for _, value in expected])
        assert [step for step, _ in read["steps", name]] == [1, 11, 21]


def test_a_log_changes_nothing(tmp_path: Path) -> None:
    assert train(log=tmp_path).history == train().history


@pytest.mark.parametrize("stop", [1, 2, 7, 12, 22])
def test_a_resumed_training_has_the_curves_of_one_left_alone(tmp_path: Path, stop: int) -> None:
    def trained(log: str, fail_at: int = -1) -> None:
        data, kept = Watched(examples(90), [], fail_at=fail_at), tmp_path / f"{log} kept"
        fit(network(), measure, data, examples(40, seed=1), SETTINGS, checkpoint=kept, log=tmp_path / log)

    trained("alone")
    with pytest.raises(KeyboardInterrupt):
        trained("stopped", stop)
    trained("stopped")
    assert curves(tmp_path / "stopped") == curves(tmp_path / "alone")


def test_another_training_in_the_same_folder_replaces_the_curves(tmp_path: Path) -> None:
    train(log=tmp_path)
    first = curves(tmp_path)
    train(log=tmp_path, augment=None)
    second = curves(tmp_path)
    assert {key: len(points) for key, points in second.items()} == {key: len(points) for key, points in first.items()}
    assert second != first


def test_without_tensorboard_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(MissingExtraError, match=r"needs tensorboard; pip install 'unconv\[train\]'"):
        train(log=tmp_path)


def test_a_place_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnconvError, match=r"log .*file/below: Not a directory; make room, or log elsewhere"):
        train(log=tmp_path / "file" / "below")
