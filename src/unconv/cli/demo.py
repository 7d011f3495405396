"""``unconv demo``: C and Cᵀ in pictures, and a look into a real network, on photographs that need no download."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unconv.cli import options
from unconv.cli.outputs import Folder, check_outputs
from unconv.cli.skipped import tell_skipped
from unconv.errors import MissingExtraError
from unconv.folders import replacing_folder

if TYPE_CHECKING:
    from unconv.explain.photograph import RoundTrip
    from unconv.visualize.report.page import Report

EXAMPLES = ("unconv demo", "unconv demo -o pages/ --top-units 8")
RENAMED = {"--units": "--top-units"}
MODEL = "efficientnet-lite0"
SEED = 7
# Files and folders of the demo.
NAMES = ("index.html", "arithmetic", "photograph", "network")
PHOTOGRAPHS = ("chelsea.png", "coffee.png", "astronaut.png", "rocket.jpg", "motorcycle_left.png", "camera.png")
# An eye and fur: round and straight edges, fine and coarse ones.
WINDOW = (slice(None), slice(48, 176), slice(128, 256))


def demo(
    job: options.Job,
    out: Annotated[Path, options.out("Folder for the pages.")] = Path("unconv-demo"),
    top_units: Annotated[int, options.top_units()] = 4,
    force: options.Force = False,
) -> None:
    """Make a page from photographs and a network that come with the demo extra; nothing is downloaded."""
    photographs = packaged_photographs()
    from unconv.jobs import bar
    from unconv.visualize.report.see import see

    check_outputs([Folder("--out", out, NAMES, force)], photographs)
    with replacing_folder(out, "demo", force) as folder, bar() as progress:
        progress.start(None, "drawing the arithmetic")
        drawings = draw_arithmetic(folder)
        trips = send_photograph(folder, photographs[0])
        title = f"Looking into {MODEL}"
        report = see(
            MODEL, photographs, out=folder / "network", top_units=top_units, title=title, progress=bar(), fidelity=0
        )
        write_page(folder / "index.html", drawings, trips, report)
    tell_skipped(report.skipped)
    if job.json:
        counts = {"photographs": len(report.pictures), "drawings": len(drawings), "round_trips": len(trips)}
        typer.echo(json.dumps({**counts, "out": str(out / "index.html")}))
        return
    made = f"{len(report.pictures)} photographs, {len(drawings)} drawings, {len(trips)} round trips"
    typer.echo(f"{made} through C and Cᵀ")
    typer.echo(f"wrote {out / 'index.html'}")


def packaged_photographs() -> list[Path]:
    """The photographs inside scikit-image."""
    try:
        import skimage
    except ImportError:
        raise MissingExtraError("demo", "scikit-image", "demo") from None
    folder = Path(skimage.__file__).parent / "data"
    return [folder / name for name in PHOTOGRAPHS]


def draw_arithmetic(folder: Path) -> list[dict[str, Any]]:
    """A convolution, its transpose in three views, the matrix and a max-pooling, as animated SVG."""
    from unconv.explain.drawing import draw
    from unconv.operators.geometry.conv import ConvGeometry, ConvTransposeGeometry
    from unconv.operators.geometry.pool import MaxPoolGeometry
    from unconv.visualize.report.files import write_file

    conv = ConvGeometry(input_size=(5, 5), kernel_size=3, stride=2, padding=1)
    transpose = conv.transpose()
    small = ConvGeometry(input_size=(4, 4), kernel_size=3)
    up = ConvTransposeGeometry(input_size=(3, 3), kernel_size=3, stride=2)
    pool = MaxPoolGeometry(input_size=(6, 6), kernel_size=2)
    chosen = (
        ("conv", draw(conv), "C: each output collects from its window."),
        ("transpose", draw(transpose), "Cᵀ: the same connections, walked backwards."),
        ("scatter", draw(up, view="scatter"), "Cᵀ again: each input pours its kernel into the output."),
        ("zeros", draw(up, view="zeros"), "Cᵀ as a convolution over an input with holes."),
        ("matrix", draw(small, view="matrix"), "C written out: 16 inputs, 4 outputs, 9 different weights."),
        ("maxpool", draw(pool, numbers=SEED), "Max pooling: which cell wins is the switch that unpooling needs."),
    )
    rows = []
    for name, drawing, caption in chosen:
        write_file(folder / "arithmetic" / f"{name}.svg", drawing.svg())
        page = {"width": drawing.page.width, "height": drawing.page.height}
        rows.append({"path": f"arithmetic/{name}.svg", "alt": drawing.scene.title, "caption": caption, **page})
    return rows


def send_photograph(folder: Path, photograph: Path) -> list[dict[str, Any]]:
    """A photograph through C and back through Cᵀ, for three kernels."""
    from unconv.data.images import read_images
    from unconv.explain.photograph import BINOMIAL, LAPLACIAN, MEAN, round_trip

    picture = read_images(photograph)[0].tensor[WINDOW]
    kernels = (
        ("binomial", "smoothing kernel, stride 2", BINOMIAL, 2),
        ("mean", "mean of 3 × 3, stride 2: the windows overlap unevenly", MEAN, 2),
        ("laplacian", "Laplacian, stride 1", LAPLACIAN, 1),
    )
    rows = []
    for name, caption, kernel, stride in kernels:
        trip = round_trip(picture, kernel, stride)
        rows.append({"caption": caption, **_saved(trip, folder, name)})
    return rows


def _saved(trip: RoundTrip, folder: Path, name: str) -> dict[str, Any]:
    from unconv.data.images import save_image
    from unconv.explain.photograph import show_signed

    signed = bool((trip.operator.weight < 0).any())
    (folder / "photograph").mkdir(parents=True, exist_ok=True)
    steps = {
        "x": trip.picture,
        "Cx": show_signed(trip.forward) if signed else trip.forward.clamp(0, 1),
        "CᵀCx": show_signed(trip.back) if signed else (trip.scale * trip.back).clamp(0, 1),
    }
    images = []
    for step, (label, image) in enumerate(steps.items()):
        path = f"photograph/{name}-{step}.png"
        save_image(image, folder / path)
        height, width = image.shape[1:]
        images.append({"path": path, "label": label, "height": height, "width": width})
    rows, columns = trip.structure.shape
    return {"images": images, "difference": trip.difference, "rows": rows, "columns": columns}


def write_page(path: Path, drawings: Sequence[Any], trips: Sequence[Any], report: Report) -> Path:
    """The page that holds everything together."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from unconv.visualize.report.files import write_file

    environment = Environment(
        loader=PackageLoader("unconv.cli", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("demo.html.jinja")
    return write_file(path, page.render(drawings=drawings, trips=trips, report=report.numbers))
