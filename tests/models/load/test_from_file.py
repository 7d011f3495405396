"""Networks from the user's own Python files, right and wrong."""

from __future__ import annotations

import importlib
import sys

import pytest
import torch
from torch import nn

from unconv.errors import ModelError
from unconv.models.load.from_file import assumed_preprocess, callables_in, file_recipe
from unconv.models.load.resolve import load_model

GOOD = """
from dataclasses import dataclass
from torch import nn
from beside import WIDTH

@dataclass
class Config:
    width: int = WIDTH

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, Config().width, 3)

    def forward(self, x):
        return self.conv(x)

def build():
    return Net(), {"size": 28, "mean": 0.286, "std": [0.353], "classes": ["shirt", "boot"]}

def late():
    import later
    return later.network()

network = Net()
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="net.py"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    write("WIDTH = 5\n", "beside.py")
    write("from torch import nn\n\ndef network():\n    return nn.Conv2d(3, 4, 3)\n", "later.py")
    return write


def module(path, attribute="build"):
    return file_recipe(path, attribute).pretrained()


def test_functions_classes_and_ready_networks_all_give_a_module(write):
    path = write(GOOD)
    assert [module(path, name).conv.out_channels for name in ("build", "Net", "network")] == [5, 5, 5]
    # Imports at call time find the files beside it too.
    assert isinstance(module(path, "late"), nn.Conv2d)


def test_the_search_path_is_left_as_it_was(write):
    path, before = write(GOOD), list(sys.path)
    module(path)
    with pytest.raises(ModelError):
        module(write("raise RuntimeError"))
    assert sys.path == before


def test_the_dict_says_how_pictures_are_wanted(write):
    recipe = file_recipe(write(GOOD), "build")
    assert recipe.preprocess.input_size == (1, 28, 28)
    assert recipe.preprocess.resize == (28, 28)
    assert (recipe.preprocess.mean, recipe.preprocess.std) == ((0.286,), (0.353,))
    assert recipe.classes() == ("shirt", "boot")
    assert recipe.assumed == ""


def test_one_number_serves_three_channels(write):
    words = {"mean": [0.1, 0.2, 0.3], "std": 0.5, "size": (32, 48)}
    path = write(f"from torch import nn\ndef build():\n    return nn.Conv2d(3, 4, 3), {words}\n")
    preprocess = file_recipe(path, "build").preprocess
    assert preprocess.input_size == (3, 32, 48)
    assert preprocess.std == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("channels", "words", "mean", "std"),
    [
        (3, "{'mean': 0.5, 'std': 0.25}", (0.5,) * 3, (0.25,) * 3),
        (1, "{'mean': 0.5, 'std': 0.25}", (0.5,), (0.25,)),
        (5, "{'mean': [0.5], 'std': 0.25}", (0.5,) * 5, (0.25,) * 5),
        (4, "{'mean': [0.1, 0.2, 0.3, 0.4]}", (0.1, 0.2, 0.3, 0.4), (1.0,) * 4),
        (2, "{'size': 8}", (0.0,) * 2, (1.0,) * 2),
        (3, "{'mean': 0.5}", (0.5,) * 3, (0.229, 0.224, 0.225)),
    ],
)
def test_one_number_serves_as_many_channels_as_the_network_has(write, channels, words, mean, std):
    path = write(f"from torch import nn\n\ndef build():\n    return nn.Conv2d({channels}, 2, 3), {words}\n")
    preprocess = file_recipe(path, "build").preprocess
    assert (preprocess.mean, preprocess.std) == (mean, std)


def test_what_is_assumed_is_said():
    colour, sentence = assumed_preprocess(nn.Conv2d(3, 4, 3))
    assert colour.input_size == (3, 224, 224)
    assert "ImageNet's at 224x224 assumed" in sentence
    grey, sentence = assumed_preprocess(nn.Sequential(nn.Conv2d(1, 4, 3)))
    assert torch.equal(grey.picture(torch.ones(1, 224, 224)), grey(torch.ones(1, 224, 224))[0])
    assert "grey in [0, 1] assumed" in sentence


def test_callables_are_found_without_running_the_file(write):
    assert callables_in(write("raise SystemExit\nclass Net: pass\ndef _private(): pass\ndef build(): pass\n")) == (
        "Net",
        "build",
    )
    assert callables_in(write("def broken(:")) == ()


FAILURES = {
    "def build(:\n": "net.py:1: SyntaxError: ",
    "import not_installed_anywhere\n": "net.py:1: ModuleNotFoundError: No module named 'not_installed_anywhere'",
    "\n\nx = 1 / 0\n": "net.py:3: ZeroDivisionError: division by zero",
    "import sys\nsys.exit(3)\n": "net.py:2: SystemExit: 3",
    "def build():\n    return undefined\n": "net.py:2: NameError: name 'undefined' is not defined",
    "import torch\ndef build():\n    return torch.nn.Conv2d(3, 4, 'wide', padding='off')\n": "net.py:3: ",
    "def build():\n    raise ValueError('two\\nlines')\n": "net.py:2: ValueError: two",
    "def build():\n    raise KeyError\n": "net.py:2: KeyError",
    "def build(width):\n    pass\n": "net.py:build: must be callable without arguments: ",
    "def build():\n    return len(3)\n": "net.py:2: TypeError: ",
    "build = 3\n": "net.py:build: of type int",
    "def biuld():\n    pass\n": "net.py:build: no build; did you mean biuld?",
    "def other():\n    pass\n": "net.py:build: no build; the file has other",
    "": "net.py:build: no build in the file",
    "def build():\n    return 3\n": "net.py:build: returned int; an nn.Module",
    "def build():\n    pass\n": r"net.py:build: returned None \(has it a return\?\); an nn.Module",
    "from torch import nn\ndef build():\n    return nn.ReLU\n": "returned the class ReLU, not an instance of it; ",
    "def build():\n    return 3, {}\n": r"net.py:build: returned \(int, dict\); an nn.Module",
}
DICT_FAILURES = {
    "{'sise': 3}": "sise says nothing about pictures; known are size, ",
    "{'size': 'big'}": "neither a number nor",
    "{'size': (1, 2, 3)}": "neither a number nor",
    "{'size': 1.5}": "net.py:build: ",
    "{'size': 0}": "at least 1",
    "{'mean': 'grey'}": "net.py:build: could not convert",
    "{'std': 0}": "positive and finite",
    "{'classes': 'cat'}": "a list of names",
    "{'classes': [1, 2]}": "a list of names",
}


@pytest.mark.parametrize("text", FAILURES)
def test_failures_name_file_and_line_in_one_line(write, text):
    with pytest.raises(ModelError, match=FAILURES[text]) as caught:
        module(write(text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("words", DICT_FAILURES)
def test_wrong_words_about_pictures_are_refused_in_one_line(write, words):
    with pytest.raises(ModelError, match=DICT_FAILURES[words]) as caught:
        file_recipe(write(f"from torch import nn\ndef build():\n    return nn.Conv2d(3, 4, 3), {words}\n"), "build")
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        file_recipe(tmp_path / "net.py", "build")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(ModelError, match="not a file"):
        file_recipe(tmp_path / "folder.py", "build")


def network_of(folder, width):
    """A folder with a network in one file that takes its width from another."""
    folder.mkdir(exist_ok=True)
    (folder / "widths.py").write_text(f"WIDTH = {width}{'  # wide' * (width % 7)}\n")
    text = "from torch import nn\nfrom {}widths import WIDTH\n\ndef build():\n    return nn.Conv2d(3, WIDTH, 3)\n"
    (folder / "net.py").write_text(text.format(""))
    (folder / "relative.py").write_text(text.format("."))
    return folder


@pytest.mark.parametrize("file", ["net.py", "relative.py"])
def test_files_of_the_same_name_in_other_folders_are_others(tmp_path, file):
    one, other = network_of(tmp_path / "one", 4), network_of(tmp_path / "other", 8)
    assert [module(folder / file).out_channels for folder in (one, other, one)] == [4, 8, 4]


@pytest.mark.parametrize("file", ["net.py", "relative.py"])
def test_a_changed_file_beside_is_read_anew(tmp_path, file):
    assert module(network_of(tmp_path, 4) / file).out_channels == 4
    assert module(network_of(tmp_path, 5) / file).out_channels == 5


def test_modules_of_the_caller_stay_the_callers(tmp_path, monkeypatch):
    own, other = network_of(tmp_path / "own", 4), network_of(tmp_path / "other", 8)
    monkeypatch.syspath_prepend(own)
    widths = importlib.import_module("widths")
    try:
        assert module(other / "net.py").out_channels == 8
        assert sys.modules["widths"] is widths
        widths.WIDTH = 16
        assert module(own / "net.py").out_channels == 16
        assert sys.modules["widths"] is widths
    finally:
        del sys.modules["widths"]


def test_relative_imports_reach_through_packages(tmp_path):
    inner = tmp_path / "package" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").write_text("")
    (inner / "__init__.py").write_text("")
    (tmp_path / "package" / "widths.py").write_text("WIDTH = 6\n")
    (inner / "net.py").write_text(
        "from torch import nn\nfrom ..widths import WIDTH\nnetwork = nn.Conv2d(3, WIDTH, 3)\n"
    )
    assert module(inner / "net.py", "network").out_channels == 6
    (inner / "net.py").write_text("from ..widths import DEPTH\n")
    with pytest.raises(ModelError, match=r"net.py:1: ImportError: cannot import name 'DEPTH'"):
        module(inner / "net.py", "network")


def test_what_a_file_prints_is_no_result(write, capsys):
    module(write("print('imported')\nfrom torch import nn\ndef build():\n    print('made')\n    return nn.ReLU()\n"))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "imported\nmade\n")


def test_methods_of_classes_and_a_home_folder(write, monkeypatch):
    text = "from torch import nn\nclass Net(nn.ReLU):\n    @classmethod\n    def small(cls):\n        return cls()\n"
    path = write(text)
    assert type(module(path, "Net.small")).__name__ == "Net"
    monkeypatch.setenv("HOME", str(path.parent))
    assert load_model(f"~/{path.name}:Net.small", size=8).input_size == (3, 8, 8)
    with pytest.raises(ModelError, match=r"one colon stands between file and callable: net\.py:build"):
        load_model("net.py::build")
