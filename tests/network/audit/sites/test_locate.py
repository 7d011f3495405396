"""The line of a layer contains its construction, however the construction is spelled."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from torch import nn

import unconv as uc
from unconv.errors import ModelError
from unconv.network.audit.sites.locate import locate
from unconv.network.audit.sites.recording import recorded, recording

COMMA, LINE = ",\n", "\n"


@dataclass
class Spelled:
    """A program that makes a network; every convolution has a number of outputs that stands in one line only."""

    draw: st.DrawFn
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(2))
    classes: list[str] = field(default_factory=list)
    helpers: list[str] = field(default_factory=list)

    def conv(self) -> str:
        return f"nn.Conv2d(1, {next(self.numbers)}, 1)"

    def expression(self, depth: int) -> str:
        """An expression that makes a module, in several lines."""
        kinds = ["conv", "long", "lambda", "helper", "elsewhere", "chosen", "moved", "copied"]
        if depth:
            kinds += ["sequential", "named", "spread", "list", "dict", "loop", "class", "class"]
        kind = self.draw(st.sampled_from(kinds))
        below = [self.expression(depth - 1) for _ in range(self.draw(st.integers(1, 3)))] if depth else []
        number = next(self.numbers)
        match kind:
            case "long":
                return self.conv().replace(", 1)", ", 1,\n    bias=False,\n)")
            case "lambda":
                return f"(lambda: {self.conv()})()"
            case "helper":
                self.classes.append(f"def helper{number}():\n    return {self.conv()}\n")
                return f"helper{number}()"
            case "elsewhere":
                self.helpers.append(f"def make{number}(bias):\n    layer = {self.conv()}\n    return layer\n")
                return f"helpers.make{number}(True)"
            case "chosen":
                return f"({self.conv()} if ALWAYS else\nnn.Identity())"
            case "moved":
                return f"{self.conv()}.to('cpu')"
            case "copied":
                return f"copy.deepcopy({self.conv()})"
            case "sequential":
                return f"nn.Sequential(\n{COMMA.join(below)},\n)"
            case "named":
                pairs = ",\n".join(f"('part{n}', {one})" for n, one in enumerate(below))
                return f"nn.Sequential(OrderedDict([\n{pairs},\n]))"
            case "spread":
                return f"nn.Sequential(\n{below[0]},\n*[{self.conv()} for _ in range(2)])"
            case "list":
                return f"nn.ModuleList([\n{COMMA.join(below)},\n])"
            case "dict":
                pairs = ",\n".join(f"'part{n}': {one}" for n, one in enumerate(below))
                return f"nn.ModuleDict({{\n{pairs},\n}})"
            case "loop":
                return f"nn.ModuleList(\n{self.conv()} for _ in range(3))"
            case "class":
                return f"{self.new_class(depth - 1)}()"
            case _:
                return self.conv()

    def new_class(self, depth: int) -> str:
        """The name of a new class, whose ``__init__`` makes modules in several ways."""
        number = next(self.numbers)
        base = self.draw(st.sampled_from(["nn.Module", "nn.Module", "nn.Sequential", "other"]))
        if base == "other":
            base = self.new_class(depth)
        body = ["super().__init__()"]
        if base == "nn.Sequential":
            body = [f"super().__init__(\n{self.conv()},\n{self.conv()})"]
        for n in range(self.draw(st.integers(1, 3))):
            body.append(self.statement(f"of{number}x{n}", depth))
        lines = "\n".join(body).splitlines()
        text = "\n".join(f"        {line}" for line in lines)
        self.classes.append(f"class Net{number}({base}):\n    def __init__(self):\n{text}\n{self.method()}")
        return f"Net{number}"

    def method(self) -> str:
        return f"\n    def make(self):\n        return nn.Sequential(nn.ReLU(),\n            {self.conv()})\n"

    def statement(self, name: str, depth: int) -> str:
        kind = self.draw(
            st.sampled_from(["plain", "local", "pair", "append", "grown", "set", "add", "method", "inner"])
        )
        one, other = self.expression(depth), self.expression(depth)
        match kind:
            case "local":
                return f"found = {one}\nself.{name} = found"
            case "pair":
                return f"self.{name}, self.{name}b = (\n{one},\n{other})"
            case "append":
                return f"self.{name} = nn.ModuleList()\nfor _ in range(2):\n    self.{name}.append(\n{one})"
            case "grown":
                grown = f"layers = [{one}]\nlayers += [nn.ReLU()]\nlayers.append({other})"
                return f"{grown}\nself.{name} = nn.Sequential(*layers)"
            case "set":
                return f"setattr(self, '{name}', {one})"
            case "add":
                return f"self.add_module('{name}', {one})"
            case "method":
                return f"self.{name} = self.make()"
            case "inner":
                return f"def inner():\n    return {self.conv()}\nself.{name} = inner()"
            case _:
                return f"self.{name} = {one}"

    def program(self) -> tuple[str, str]:
        model = self.new_class(2) + "()" if self.draw(st.booleans()) else self.expression(3)
        start = (
            "import copy\nfrom collections import OrderedDict\nfrom torch import nn\nimport helpers\nALWAYS = True\n"
        )
        build = "\n".join(f"    {line}" for line in f"return nn.Sequential(\n{model}\n)".splitlines())
        return f"{start}\n{LINE.join(self.classes)}\ndef build():\n{build}\n", "\n".join(
            ["from torch import nn", *self.helpers]
        )


@st.composite
def programs(draw: st.DrawFn) -> tuple[str, str]:
    return Spelled(draw).program()


def lines_that_make(model: nn.Module, sure: bool) -> int:
    """Check the lines of all convolutions, and count those of the construction itself."""
    count = 0
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            found = locate(model, name)
            if sure or (found is not None and found.what == "construction"):
                assert found is not None, name
                line = Path(found.file).read_text().splitlines()[found.line - 1]
                assert f"nn.Conv2d(1, {module.out_channels}, 1" in line, (name, str(found), line)
                count += 1
    return count


def imported(path: Path) -> nn.Module:
    """The network of a file that Python itself imports."""
    spec = importlib.util.spec_from_file_location("net", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.pop("helpers", None)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    made: nn.Module = module.build()
    return made


@settings(deadline=None, max_examples=25, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(programs())
def test_the_line_of_a_layer_contains_its_construction(
    tmp_path_factory: pytest.TempPathFactory, program: tuple[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("spelled")
    (folder / "net.py").write_text(program[0])
    (folder / "helpers.py").write_text(program[1])
    sys.modules.pop("helpers", None)
    noted = uc.load_model(f"{folder / 'net.py'}:build").module
    convolutions = sum(isinstance(one, nn.Conv2d) for one in noted.modules())
    assert lines_that_make(noted, sure=True) == convolutions
    # Without a record the source shows most of them, and says of none what is not so.
    lines_that_make(imported(folder / "net.py"), sure=False)


SPELLED = """
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 2, 1)
        self.body = nn.Sequential(
            nn.Conv2d(1, 3, 1),
            nn.ReLU(),
            nn.Conv2d(1, 4, 1),
        )
        self.many = nn.ModuleList()
        for _ in range(2):
            self.many.append(nn.Conv2d(1, 5, 1))
        self.named = nn.ModuleDict({"a": nn.Conv2d(1, 6, 1)})

    def forward(self, x):
        return x

class Wide(Block):
    def __init__(self, given):
        super().__init__()
        self.two = nn.Conv2d(1, 7, 1)
        self.given = given

def build():
    return Wide(nn.Conv2d(1, 8, 1))
"""


def test_the_source_shows_where_layers_are_made_that_nobody_watched(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(SPELLED)
    (tmp_path / "helpers.py").write_text("")
    model = imported(tmp_path / "net.py")
    assert recorded(model) is None
    assert lines_that_make(model, sure=False) == 7
    given = locate(model, "given")
    assert given is not None
    assert (given.what, SPELLED.splitlines()[given.line - 1]) == ("assignment", "        self.given = given")
    whole, added = locate(model, ""), locate(model, "add#2")
    assert whole is not None
    assert added is not None
    assert (whole.what, SPELLED.splitlines()[whole.line - 1]) == ("class", "class Wide(Block):")
    assert (added.what, SPELLED.splitlines()[added.line - 1]) == ("forward", "    def forward(self, x):")


ODD = """
import functools
from dataclasses import dataclass
from torch import nn

def saves(init):
    @functools.wraps(init)
    def wrapped(*args, **kwargs):
        return init(*args, **kwargs)
    return wrapped

class Outer(nn.Module):
    class Inner(nn.Module):
        def __init__(self, o):
            super().__init__()
            self.conv = nn.Conv2d(1, o, 1)
    @saves
    def __init__(self):
        super().__init__()
        self.a = self.Inner(11)
        self.b = Outer.Inner(12)
        blocks = []
        for i in range(2):
            block = [nn.Conv2d(1, 13, 1)]
            block += [nn.ReLU()]
            blocks.append(nn.Sequential(*block))
        self.blocks = nn.Sequential(*blocks)
        self.inner = nn.Sequential(nn.Conv2d(1, 14, 1))
        self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 2)
        self.wn = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 15, 1))

@dataclass(eq=False)
class Data(nn.Module):
    n: int = 3
    def __post_init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, self.n, 1)

def build():
    class Local(Outer):
        def __init__(self):
            super().__init__()
            self.own = Data(16)
    return Local()
"""


def test_what_is_recorded_and_what_the_source_shows_agree(tmp_path: Path) -> None:
    # Nested and local classes, a decorated __init__, a dataclass, torch's own compounds, copies and parametrisations.
    (tmp_path / "net.py").write_text(ODD)
    (tmp_path / "helpers.py").write_text("")
    noted, plain = uc.load_model(f"{tmp_path / 'net.py'}:build").module, imported(tmp_path / "net.py")
    names = [name for name, _ in noted.named_modules() if name]
    assert len(names) > 30
    for name in names:
        first, second = locate(noted, name), locate(plain, name)
        assert first is not None
        assert second is not None
        assert (first.what, first.file, first.line) == (second.what, second.file, second.line), name
        assert first.what == "construction"


def test_calls_that_led_to_a_helper_are_told(tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text("from torch import nn\ndef conv(n):\n    return nn.Conv2d(1, n, 1)\n")
    (tmp_path / "net.py").write_text("import helpers\ndef build():\n    return helpers.conv(\n        3)\n")
    for model in (uc.load_model(f"{tmp_path / 'net.py'}:build").module,):
        found = locate(model, "")
        assert found is not None
        assert (Path(found.file).name, found.line) == ("helpers.py", 3)
        assert found.callers == ((str(tmp_path / "net.py"), 3),)


def test_torch_is_as_before_whatever_happens(tmp_path: Path) -> None:
    before = nn.Module.__init__, nn.Module.__setstate__
    (tmp_path / "net.py").write_text(
        "from torch import nn\ndef build():\n    nn.ReLU()\n    raise RuntimeError('no')\n"
    )
    with pytest.raises(ModelError, match="RuntimeError: no"):
        uc.load_model(f"{tmp_path / 'net.py'}:build")
    assert (nn.Module.__init__, nn.Module.__setstate__) == before
    with recording():
        during = nn.Module.__init__

        def wrapped(self: nn.Module) -> None:
            during(self)

        nn.Module.__init__ = wrapped  # type: ignore[method-assign]
    assert nn.Module.__init__ is wrapped  # type: ignore[comparison-overlap]
    idle = nn.ReLU()
    nn.Module.__init__ = before[0]  # type: ignore[method-assign]
    assert recorded(idle) is None


def test_nothing_is_kept_in_modules_or_of_modules_that_are_gone() -> None:
    with recording():
        layer = nn.Conv2d(1, 2, 1)
    assert vars(layer).keys() == vars(nn.Conv2d(1, 2, 1)).keys()
    found = recorded(layer)
    assert found is not None
    assert "layer = nn.Conv2d" in Path(__file__).read_text().splitlines()[found.line - 1]
    from unconv.network.audit.sites import recording as kept

    key = id(layer)
    assert key in kept._RECORDED
    del layer
    assert key not in kept._RECORDED


def test_what_has_no_file_has_no_line() -> None:
    names: dict[str, object] = {}
    code = "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    exec(compile(code + "        self.one = nn.ReLU()\n", "<cell 3>", "exec"), names)
    with recording():
        model = names["Net"]()  # type: ignore[operator]
    found = locate(model, "one")
    # The innermost line with a file is the call, here.
    assert found is not None
    assert 'model = names["Net"]()' in Path(__file__).read_text().splitlines()[found.line - 1]
    assert locate(names["Net"](), "one") is None  # type: ignore[operator]
