"""The ``unconv`` command: one file a command, and one place where errors become a line and exit code 2."""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
from io import TextIOWrapper
from typing import Annotated, Any

import typer

from unconv._version import __version__
from unconv.cli import audit, bench, demo, models, scan, see
from unconv.cli.arithmetic import commands as arithmetic
from unconv.cli.command import add_command, new_group
from unconv.cli.experiment import group as experiment
from unconv.cli.sparse import denoise, encode, inpaint, learn
from unconv.cli.spelling import in_shell
from unconv.cli.train import group as train, sample
from unconv.errors import UnconvError, one_line

# What typer raises where a command line cannot be read: the family of BadParameter, wherever it comes from.
USAGE: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

EXAMPLES = (
    "unconv arithmetic transpose -i 3 -k 3 -s 2 -p 1  # sizes, relation, a picture",
    "unconv audit torchvision:resnet50                # layers, findings, fixes",
    "unconv see efficientnet-lite0 photos/            # what units see, as a page",
    "unconv train classify --data photos/ --model torchvision:resnet18",
    "unconv denoise noisy.png -o clean.png",
    "unconv models 'resnet*'                          # what a MODEL may be",
)

# Where the shell has what people look for under the name that Python has for it.
ELSEWHERE = {
    **dict.fromkeys(("trace", "layers", "summary", "macs"), "unconv audit MODEL has the table of layers"),
    "explain": "unconv audit MODEL tells why sizes do not meet; in Python, uc.explain_shapes",
    "project": "unconv see MODEL PICTURES projects the strongest units; in Python, uc.project takes any",
    "draw": "unconv arithmetic draws a layer: -o FILE.svg",
    **{
        one: f"unconv experiment {one}"
        for one in ("occlusion", "invariance", "evolution", "transfer", "correspondence")
    },
}

CONVOLUTIONS, NETWORKS, TRAINING = "Convolutions", "Look into networks", "Train networks"
SPARSE, OTHERS = "Sparse coding of pictures", "Others"

app = new_group(
    "Everything that deep learning calls deconvolution: arithmetic, pictures, and a look into networks.",
    EXAMPLES,
    panels=(CONVOLUTIONS, NETWORKS, TRAINING, SPARSE, OTHERS),
    add_completion=True,
)
app.add_typer(arithmetic.app, name="arithmetic", rich_help_panel=CONVOLUTIONS)
add_command(app, audit.audit, audit.EXAMPLES, panel=NETWORKS, renamed=audit.RENAMED)
add_command(app, scan.scan, scan.EXAMPLES, panel=NETWORKS, renamed=scan.RENAMED)
add_command(app, see.see, see.EXAMPLES, panel=NETWORKS, renamed=see.RENAMED)
app.add_typer(experiment.app, name="experiment", rich_help_panel=NETWORKS)
app.add_typer(train.app, name="train", rich_help_panel=TRAINING)
add_command(app, sample.sample, sample.EXAMPLES, panel=TRAINING, renamed=sample.RENAMED)
add_command(app, models.models, models.EXAMPLES, panel=NETWORKS)
add_command(app, learn.learn, learn.EXAMPLES, panel=SPARSE, renamed=learn.RENAMED)
add_command(app, encode.encode, encode.EXAMPLES, panel=SPARSE)
add_command(app, denoise.denoise, denoise.EXAMPLES, panel=SPARSE, renamed=denoise.RENAMED)
add_command(app, inpaint.inpaint, inpaint.EXAMPLES, panel=SPARSE, renamed=inpaint.RENAMED)
add_command(app, demo.demo, demo.EXAMPLES, panel=OTHERS, renamed=demo.RENAMED)
add_command(app, bench.bench, bench.EXAMPLES, panel=OTHERS)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"unconv {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Everything that deep learning calls deconvolution: arithmetic, pictures, and a look into networks."""


# What a command that Ctrl-C ends exits with, in typer too.
INTERRUPTED = 130


def run() -> None:
    """Run the command line; a refusal is one line on stderr and exit code 2; SIGTERM ends it like Ctrl-C, with 143."""
    ended: list[int] = []

    def end(number: int, _frame: object) -> None:
        # Told again, it ends at once.
        signal.signal(number, signal.SIG_DFL)
        ended.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a pipe that cannot spell ⌊ or ′ gets a question mark, not an error
            stream.reconfigure(errors="replace")
    try:
        try:
            code = app(standalone_mode=False)
        except (typer.Abort, KeyboardInterrupt):
            code = INTERRUPTED
        finally:
            if sys.stdout:  # None where it was closed
                sys.stdout.flush()
        if code == INTERRUPTED or ended:
            print(f"unconv: {'terminated' if ended else 'interrupted'}", file=sys.stderr)
            code = 128 + ended[0] if ended else INTERRUPTED
        sys.exit(code if isinstance(code, int) else 0)
    except USAGE as misuse:
        sys.exit(tell_misuse(misuse))
    except UnconvError as refusal:
        print(f"unconv: {in_shell(str(refusal))}", file=sys.stderr)
        sys.exit(2)
    except OSError as failure:  # a full disk, a directory that went away: nothing that a traceback would explain
        place = f" {failure.filename}" if failure.filename else ""
        print(f"unconv: cannot read or write{place}: {failure.strerror or failure}", file=sys.stderr)
        _drop_output()
        sys.exit(2)
    except Exception as fault:  # none that is foreseen; Python would exit with 1, which is that of findings
        if os.environ.get("UNCONV_TRACEBACK"):
            traceback.print_exc()
        print(f"unconv: {_tell_fault(fault)}", file=sys.stderr)
        sys.exit(2)


def _tell_fault(fault: Exception) -> str:
    """A fault of unconv's own, in a line that can be reported."""
    places = [one for one in traceback.extract_tb(fault.__traceback__) if f"{os.sep}unconv{os.sep}" in one.filename]
    where = f" ({places[-1].filename.rpartition(f'{os.sep}unconv{os.sep}')[2]}:{places[-1].lineno})" if places else ""
    told = f"{type(fault).__name__}: {one_line(fault)}{where}"
    return f"a fault of unconv itself, please report it: {told}; UNCONV_TRACEBACK=1 shows the traceback"


def tell_misuse(misuse: Any) -> int:
    """Say in one line what the command line was not; a command that wants a help text gets it. The exit code."""
    message = str(misuse.format_message())
    if "\n" in message:
        misuse.show()
        return int(misuse.exit_code)
    command = misuse.ctx.command_path if getattr(misuse, "ctx", None) is not None else "unconv"
    command = re.sub(r"^\S+( -m unconv)?", "unconv", command)
    named = re.match(r"No such command '(.*?)'", message)
    if named is not None and command == "unconv" and (way := ELSEWHERE.get(named[1].split("_")[0])) is not None:
        message = f"{named[0]}: {way}"
    print(f"{command}: {message.rstrip('.?')}; {command} --help tells the options", file=sys.stderr)
    return int(misuse.exit_code)


def _drop_output() -> None:
    """What could not be written is not tried again when Python ends, which would say so by another exit code."""
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
