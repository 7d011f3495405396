"""Where in a weight file a network's tensors are: the prefixes under which all of its names stand."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from torch import Tensor, nn

from unconv.models.load.weights.contents import Contents
from unconv.models.load.weights.parametrised import rename_parametrised

Renaming = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]

# What torch's wrappers of modules put into names, wherever the module stands: torch.compile, FSDP, checkpointing.
WRAPPERS = frozenset(
    ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_flat_param")
)
# The one of DataParallel is a usual name of a layer too.
PARALLEL = "module"
# Names that say nothing but "here are the weights": of two sets that fit, the one under these alone is meant.
PLAIN = WRAPPERS | {
    PARALLEL,
    *("state_dict", "model_state_dict", "model_state", "state", "checkpoint", "params", "weights", "model_weights"),
    *("model", "net", "network", "base_model", "backbone", "encoder", "_model", "_net"),
}
# Counters, which old files do not have and nothing depends on.
COUNTER = "num_batches_tracked"


@dataclass(frozen=True, eq=False)
class OwnNames:
    """The tensors of a network by name.

    Attributes:
        groups: names of the same tensor, under one of which it has to be; counters have none.
        all: all names, those of counters too.
        unsaved: buffers that the network makes itself.
    """

    groups: tuple[frozenset[str], ...]
    all: tuple[str, ...]
    unsaved: frozenset[str]

    @classmethod
    def of(cls, module: nn.Module) -> OwnNames:
        """Those of a module; tensors that are shared have several."""
        # Without what modules save of another kind.
        state = {name: one for name, one in module.state_dict(keep_vars=True).items() if isinstance(one, Tensor)}
        same: dict[int, list[str]] = defaultdict(list)
        for name, tensor in state.items():
            if not name.endswith(COUNTER):
                same[id(tensor)].append(name)
        buffers = {name for name, _ in module.named_buffers(remove_duplicate=False)}
        groups = tuple(frozenset(names) for names in same.values())
        return cls(groups, tuple(state), frozenset(buffers - set(state)))


@dataclass(frozen=True, eq=False)
class Candidate:
    """A set of tensors in a file whose names are a network's.

    Attributes:
        place: what stands in front of the names in the file, without its last dot.
        tensors: by the network's names.
        names: the file's names of them.
        left: the other names under the place, without it.
        missing: names of the network that are not there.
        turns: what was done to the names beside taking the place off, as phrases.
    """

    place: str
    tensors: dict[str, Tensor]
    names: frozenset[str]
    left: tuple[str, ...]
    missing: tuple[str, ...]
    turns: tuple[str, ...] = ()


def find_candidates(contents: Contents, own: OwnNames, rename: Renaming) -> list[Candidate]:
    """The sets of tensors in a file that have all names of a network; where none has, the nearest one.

    A prefix in front of the names is taken off if all names then fit, wrappers' names wherever they stand; where
    nothing fits so, names are renamed, and a prefix that all names of the network have is put in front.

    Args:
        contents: of the file.
        own: names of the network.
        rename: gives tensors of another naming the network's names.

    >>> own = OwnNames.of(nn.Sequential(nn.Linear(2, 1)))
    >>> there = Contents({f"net.{part}.0.{name}": Tensor() for part in "ab" for name in ("weight", "bias")}, ())
    >>> [one.place for one in find_candidates(there, own, dict)]
    ['net.a', 'net.b']
    """
    views = _views(contents, own)
    nearest = [view.candidate(place) for view in views for place in view.places()]
    if complete := _complete(nearest):
        return complete
    large = _large_places(contents, len(own.groups))
    for view in views:
        nearest += [view.candidate(place, rename) for place in dict.fromkeys((*view.places(), *large))]
    if complete := _complete(nearest):
        return complete
    inner = [view.of_inner_module() for view in views if view.common_prefix]
    nearest += [view.candidate(place) for view in inner for place in view.places() if is_plain(place)]
    # A prefix that fits less than half of the names does so by chance.
    half = len(own.groups) // 2
    return _complete(nearest) or sorted(nearest, key=lambda one: (max(len(one.missing), half), -len(one.left)))[:1]


def _large_places(contents: Contents, tensors: int) -> list[str]:
    """Places that may hold another naming of so many tensors: as they are, and parallel."""
    sizes = dict.fromkeys(contents.places, 0)
    for name in contents.tensors:
        for place, _ in splits(name):
            if place in sizes:
                sizes[place] += 1
    large = [place for place, size in sizes.items() if 2 * size >= tensors] or sorted(
        sizes, key=lambda one: -sizes[one]
    )[:1]
    return [*large, *(f"{place}.{PARALLEL}".lstrip(".") for place in large)]


def _complete(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those without missing names, each set of the file's names once."""
    found: dict[frozenset[str], Candidate] = {}
    for one in candidates:
        if not one.missing:
            found.setdefault(one.names, one)
    return list(found.values())


@dataclass(frozen=True, eq=False)
class _View:
    """The names of file and network without some of what stands in them.

    Attributes:
        own: the network's.
        short: its names as they are looked for, with the full ones.
        file: the file's likewise.
        tensors: the file's, by full names.
        turns: what was done to them, as phrases.
    """

    own: OwnNames
    short: Mapping[str, str]
    file: Mapping[str, str]
    tensors: Mapping[str, Tensor]
    turns: tuple[str, ...] = ()

    @property
    def common_prefix(self) -> str:
        """What all names of the network begin with."""
        return _common_prefix(self.short)

    def of_inner_module(self) -> _View:
        """With the prefix that all names of the network have put in front of the file's."""
        prefix = self.common_prefix
        inner = {name.removeprefix(prefix): full for name, full in self.short.items()}
        return replace(self, short=inner, turns=(*self.turns, f"{prefix} put in front of its names"))

    def places(self) -> list[str]:
        """The prefixes under which most of the names are."""
        groups = {name: number for number, names in enumerate(self.own.groups) for name in names}
        under: dict[str, set[int]] = defaultdict(set)
        for name in self.file:
            for place, rest in splits(name):
                if (group := groups.get(self.short.get(rest, ""))) is not None:
                    under[place].add(group)
        most = max(map(len, under.values()), default=0)
        return [place for place, there in under.items() if len(there) == most]

    def candidate(self, place: str, rename: Renaming | None = None) -> Candidate:
        """What is under a prefix."""
        front = f"{place}." if place else ""
        under = {name[len(front) :]: full for name, full in self.file.items() if name.startswith(front)}
        named: Mapping[str, Tensor] = {rest: self.tensors[full] for rest, full in under.items()}
        if rename is not None:
            named = rename_parametrised(rename(named), self.short)
        tensors = {self.short[name]: tensor for name, tensor in named.items() if name in self.short}
        missing = []
        for names in self.own.groups:
            there = next((tensors[name] for name in names if name in tensors), None)
            if there is None:
                missing.append(min(names))
            else:
                tensors |= {name: tensors.get(name, there) for name in names}
        order = {name: number for number, name in enumerate(self.short.values())}
        return Candidate(
            place,
            tensors,
            frozenset(full for rest, full in under.items() if rest in self.short or rename is not None),
            tuple(name for name in named if name not in self.short),
            tuple(sorted(missing, key=lambda name: order[name])),
            self.turns if rename is None else (*self.turns, "names of its tensors translated to the network's"),
        )


def _views(contents: Contents, own: OwnNames) -> list[_View]:
    """The names as they are, and, where that is another thing, without those of wrappers."""
    views: list[_View] = []
    for left_out in (frozenset[str](), WRAPPERS, WRAPPERS | {PARALLEL}):
        short, file = _shortened(own.all, left_out), _shortened(contents.tensors, left_out)
        if short is None or file is None or any(view.short == short and view.file == file for view in views):
            continue
        parts = sorted({part for name in contents.tensors for part in name.split(".") if part in left_out})
        turns = tuple(f"{part}. taken out of its names" for part in parts)
        views.append(_View(own, short, file, contents.tensors, turns))
    return views


def _shortened(names: Collection[str], left_out: frozenset[str]) -> dict[str, str] | None:
    """Names without some of their parts, with the full ones; None where two become one."""
    if not left_out:
        return {name: name for name in names}
    short = {".".join(part for part in name.split(".") if part not in left_out): name for name in names}
    return short if len(short) == len(names) else None


def _common_prefix(names: Collection[str]) -> str:
    """The prefix that all names have, their last part left aside."""
    parts = [name.split(".")[:-1] for name in names]
    common = 0
    while parts and all(len(one) > common for one in parts) and len({one[common] for one in parts}) == 1:
        common += 1
    return "".join(f"{part}." for part in parts[0][:common]) if parts else ""


def splits(name: str) -> Iterator[tuple[str, str]]:
    """A name cut into prefix and rest at each dot.

    >>> list(splits("net.fc.bias"))
    [('', 'net.fc.bias'), ('net', 'fc.bias'), ('net.fc', 'bias')]
    """
    yield "", name
    at = name.find(".")
    while at >= 0:
        yield name[:at], name[at + 1 :]
        at = name.find(".", at + 1)


def is_plain(place: str) -> bool:
    """Whether a prefix says nothing of what weights stand under it.

    >>> is_plain("state_dict.module"), is_plain("discriminator")
    (True, False)
    """
    return not place or all(part in PLAIN for part in place.split("."))
