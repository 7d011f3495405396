"""Is this checkout slower than another one? Our side of the benchmarks in both, call by call in turn.

    python tools/compare_versions.py ../other [unit_windows scan_speed sparse_coding conv_transpose trace] [--rounds 7]

Each checkout runs in a process of its own, with ``--python`` for the other one's environment; the processes time the
same calls one after the other, so that what else the machine does falls on both. Prints for every call the median of
the ratios of a round, this checkout by the other, and their geometric mean; exits with 1 where a benchmark's mean is
above ``--most``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

THREADS = 2
# Seconds that one timing takes at least: shorter calls are repeated.
LEAST = 0.05
Calls = Iterator[tuple[str, Callable[[], Any]]]


def unit_windows() -> Calls:
    """Projections of units through windows, layer by layer."""
    from benchmarks import unit_windows as bench

    pictures = bench.photographs(16)
    for layers in (bench.vgg(), bench.resnet()):
        names = [layer.name for layer in layers]
        found = bench.scan(layers[0].model, pictures, names, top=bench.TOP)
        graph = bench.trace(layers[0].model, (3, 224, 224))
        for layer in layers:
            # As many as the benchmark has, where a window is small; where it is the image each takes as long as any.
            whole = bench.windows_of(graph, layer.name).whole
            count, top = (4, 4) if whole else (bench.UNITS, bench.TOP)
            units = len(found.values[layer.name])
            picks = [
                bench.Pick(int(image), unit, tuple(place))
                for unit in range(0, units, units // count)
                for image, place in zip(
                    found.images[layer.name][unit][:top],
                    found.positions[layer.name][unit][:top].tolist(),
                    strict=True,
                )
            ]
            yield (
                f"{layer.network} {layer.title}",
                lambda layer=layer, graph=graph, picks=picks: bench.by_unconv(
                    layer, graph, pictures, picks, whole=False
                ),
            )


def scan_speed() -> Calls:
    """Scans of pictures in memory, all convolutions."""
    from benchmarks import scan_speed as bench

    for title, loaded in bench.networks():
        pictures = bench.photographs(bench.BATCH * (4 if "Lite" in title else 1))
        yield (
            title,
            lambda loaded=loaded, pictures=pictures: bench.scan(loaded.module, pictures, batch_size=bench.BATCH),
        )


def sparse_coding() -> Calls:
    """Sparse codes of SPORCO's tasks."""
    from benchmarks import sparse_coding as bench

    for task in bench.coding_tasks(None):
        yield task.title, lambda task=task: bench.timed(task, bench.PLAIN, "auto")


def conv_transpose() -> Calls:
    """Transposed convolutions in their layouts, forward and with gradients."""
    import torch

    from benchmarks import conv_transpose as bench

    for layer in bench.LAYERS:
        for kind, calls in (("forward", bench.forward_calls(layer)), ("gradients", bench.gradient_calls(layer))):
            for side, call in calls.items():
                if side.startswith("ours"):

                    def run(call: Callable[[], Any] = call, kind: str = kind) -> None:
                        with torch.set_grad_enabled(kind == "gradients"):
                            call()

                    yield f"{layer.name}, {side.removeprefix('ours ')}, {kind}", run


def trace() -> Calls:
    """Traces and audits of networks that differ in kind."""
    import torch
    from torchvision.models import get_model

    import unconv as uc

    for name in ("resnet50", "densenet121", "googlenet", "efficientnet_b0", "convnext_tiny", "swin_t", "vit_b_16"):
        with torch.device("meta"):
            model = get_model(name, weights=None, **({"init_weights": False} if name == "googlenet" else {}))
        yield f"trace {name}", lambda model=model: uc.trace(model, (3, 224, 224))
    for name in ("resnet50", "mobilenet_v2"):
        real = get_model(name, weights=None)
        yield f"audit {name}", lambda model=real: uc.audit(model, (3, 224, 224))


BENCHMARKS = {each.__name__: each for each in (unit_windows, scan_speed, sparse_coding, conv_transpose, trace)}


def serve(name: str) -> None:
    """The other end: the package and the names of the calls as a line of JSON, then seconds of each asked for."""
    import torch

    import unconv

    torch.set_num_threads(THREADS)
    calls = dict(BENCHMARKS[name]())
    repeats = {}
    for label, call in calls.items():
        call()
        repeats[label] = max(1, math.ceil(LEAST / max(_seconds(call, 1), 1e-7)))
    print(json.dumps([unconv.__file__, list(calls)]), flush=True)
    for line in sys.stdin:
        label, count = json.loads(line)
        print(json.dumps([_seconds(calls[label], count or repeats[label]), repeats[label]]), flush=True)


def _seconds(call: Callable[[], Any], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count


class Side:
    """A checkout in its own process."""

    def __init__(self, python: str, checkout: Path, name: str) -> None:
        code = f"import sys; sys.path[:0] = [{str(checkout)!r}, {str(Path(__file__).parent)!r}]; "
        code += f"import compare_versions; compare_versions.serve({name!r})"
        self.process = subprocess.Popen(
            [python, "-c", code], cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self) -> Any:
        """The next line of JSON; what a benchmark prints itself is passed over."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                return json.loads(line)
            except json.JSONDecodeError:
                continue
        raise SystemExit(f"{' '.join(map(str, self.process.args[:1]))}: ended with {self.process.wait()}")  # type: ignore[index]

    def ask(self, label: str, count: int) -> list[float]:
        """Seconds of a call, and how often it is run for a timing."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([label, count]) + "\n")
        self.process.stdin.flush()
        return list(self.read())


def compare(name: str, pythons: tuple[str, str], checkouts: tuple[Path, Path], rounds: int) -> float:
    """Print the ratios of a benchmark's calls; their geometric mean."""
    sides = [Side(python, checkout, name) for python, checkout in zip(pythons, checkouts, strict=True)]
    (package, labels), (other, others) = (side.read() for side in sides)
    if package == other:
        raise SystemExit(f"both sides import {package}: name the other checkout's interpreter by --python")
    means = []
    for label in [label for label in labels if label in others]:
        count = int(sides[0].ask(label, 1)[1])
        ratios = []
        for number in range(rounds):
            order = (0, 1) if number % 2 == 0 else (1, 0)
            seconds = {side: sides[side].ask(label, count)[0] for side in order}
            ratios.append(seconds[0] / seconds[1])
        means.append(statistics.median(ratios))
        print(f"{name}: {label}: {means[-1]:.3f} ({min(ratios):.3f} to {max(ratios):.3f})", flush=True)
    for side in sides:
        side.process.terminate()
        side.process.wait()
    mean = math.exp(statistics.fmean(map(math.log, means)))
    print(f"{name}: geometric mean of {len(means)} calls {mean:.3f}, largest {max(means):.3f}", flush=True)
    return mean


def main() -> None:
    """Compare, and exit with 1 where this checkout is slower."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the other checkout")
    parser.add_argument("names", nargs="*", metavar="NAME", default=[], help=", ".join(BENCHMARKS))
    parser.add_argument("--python", default=sys.executable, help="the other checkout's interpreter")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--most", type=float, default=1.05)
    arguments = parser.parse_intermixed_args()
    here = Path(__file__).resolve().parents[1]
    slower = [
        name
        for name in arguments.names or BENCHMARKS
        if compare(name, (sys.executable, arguments.python), (here, arguments.other.resolve()), arguments.rounds)
        > arguments.most
    ]
    raise SystemExit(f"slower: {', '.join(slower)}" if slower else 0)


if __name__ == "__main__":
    main()
