"""``python -m studies NAME...``: make the runs that are missing, and write them up.

python -m studies                       (all studies, seeds 0, 1 and 2; hours)
python -m studies unet --seeds 0        (one of them, one seed)
python -m studies --data DIR            (the whole of Fashion-MNIST is in DIR)
python -m studies --write               (only tables and figures, from the logs)
"""

from __future__ import annotations

import argparse
import importlib
import sys

from studies.runs import make
from studies.writeup import write
from unconv.cli.spelling import in_shell
from unconv.data.fashion import whole_fashion
from unconv.errors import ImageError

STUDIES = ("fcn", "unet", "gan", "layers")


def main(words: list[str] | None = None) -> int:
    """The command; 1 where a run failed."""
    parser = argparse.ArgumentParser(
        prog="python -m studies", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(STUDIES)}; all of them unless named")
    parser.add_argument("--seeds", default="0,1,2", help="joined by commas (0,1,2)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at once, by one thread each (2)")
    parser.add_argument("--data", help="folder with the whole of Fashion-MNIST; where it is found unless given")
    parser.add_argument("--write", action="store_true", help="make no runs")
    given = parser.parse_args(words)
    if unknown := sorted(set(given.names) - set(STUDIES)):
        parser.error(f"no study is called {', '.join(unknown)}; there are {', '.join(STUDIES)}")
    names, failed = given.names or STUDIES, []
    if not given.write:
        seeds = [int(seed) for seed in given.seeds.split(",")]
        try:
            garments = whole_fashion(given.data).folder
        except ImageError as error:
            parser.error(in_shell(str(error)))
        runs = [run for name in names for run in importlib.import_module(f"studies.{name}").runs(seeds)]
        failed = make(runs, given.jobs, garments=garments)
    write(names)
    for trouble in failed:
        print(trouble, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
