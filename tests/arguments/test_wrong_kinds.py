"""No public function answers a wrong kind of argument with an error of Python's own."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

import unconv as uc
from unconv.arguments import tell_wrong_arguments
from unconv.errors import UnconvError


def test_every_wrong_kind_of_argument_is_one_line(tmp_path: Path) -> None:
    script = Path(__file__).with_name("wrong_kinds.py")
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0), done.stderr[-2000:]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: uc.scan(nn.Conv2d(3, 4, 3), [], top="9"), r"scan: top is '9' \(str\); it takes a whole number"),
        (
            lambda: uc.train.classify("lenet5", "digits", settings="ten"),
            r"classify: settings is 'ten' \(str\); it takes a",
        ),
        (lambda: uc.train.segment(settings=5, scenes=2), r"segment: settings is 5 \(int\); it takes a"),
        (lambda: uc.encode(1, 2, penalty=[]), "encode: "),
        (
            lambda: uc.solve_transpose(4, 8, kernel=3),
            "solve_transpose: .*unexpected keyword argument 'kernel'; its arg",
        ),
    ],
)
def test_the_argument_is_named(call, told: str) -> None:
    with pytest.raises(UnconvError, match=told) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_errors_of_other_origins_pass() -> None:
    @tell_wrong_arguments
    def divide(numbers: list[int], by: int = 1) -> float:
        return sum(numbers) / by

    assert divide([4, 2], by=2) == 3
    with pytest.raises(ZeroDivisionError):
        divide([1], by=0)
    with pytest.raises(
        UnconvError, match=r"divide: numbers is '12' \(str\); it takes a list of whole numbers"
    ) as caught:
        divide("12")
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: uc.train.classify("lenet5", epochs=2), "it is in settings=Settings(epochs=...)"),
        (lambda: uc.scan(None, None, tops=3), "inputs, kwargs, max_pixels; the nearest name is top"),
        (lambda: uc.ConvGeometry(3, 3, strides=2), "the nearest name is stride"),
        (lambda: uc.DictionaryLearner(n_iter=3), "the nearest name is max_iter"),
        (lambda: uc.DictionaryLearner(n_components=8), "the nearest name is n_kernels"),
        (lambda: uc.DictionaryLearner(kernel_sizes=8), "the nearest name is kernel_size"),
        (lambda: uc.encode(None, None, lmbda=0.1), "the nearest name is penalty"),
        (lambda: uc.project(None, None, "0", 0, zzz=1), "its arguments are model, images, layer, unit, position, rule"),
    ],
)
def test_an_argument_that_is_none_is_told_its_place(call: Callable[[], object], told: str) -> None:
    with pytest.raises(UnconvError, match="unexpected keyword argument") as error:
        call()
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    # As Python's own, for those who catch that.
    assert isinstance(error.value, TypeError)
    assert type(pickle.loads(pickle.dumps(error.value))) is type(error.value)


def test_names_from_elsewhere_are_told_only_where_there_is_one_for_them() -> None:
    @tell_wrong_arguments
    def learn(n_atoms: int = 1, *, alpha: float = 0.1) -> float:
        return n_atoms * alpha

    assert learn(n_atoms=2, alpha=1) == 2
    with pytest.raises(UnconvError, match=r"its arguments are n_atoms, alpha$"):
        learn(n_components=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"too many positional arguments; its arguments are n_atoms, alpha$"):
        learn(1, 2)  # type: ignore[call-arg]
