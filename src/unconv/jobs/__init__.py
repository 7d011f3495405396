"""Long jobs: partition → map → combine → checkpoint, with the executor handed in."""

from unconv.errors import JobError
from unconv.jobs.checkpoint import Checkpoint, Saved
from unconv.jobs.executor import Executor, Serial, Threads
from unconv.jobs.fingerprint import fingerprint_arrays, fingerprint_files
from unconv.jobs.map_reduce import Result, iterate, run
from unconv.jobs.progress import Progress, bar, quiet
from unconv.jobs.running import Running, raising_causes

__all__ = [
    "Checkpoint",
    "Executor",
    "JobError",
    "Progress",
    "Result",
    "Running",
    "Saved",
    "Serial",
    "Threads",
    "bar",
    "fingerprint_arrays",
    "fingerprint_files",
    "iterate",
    "quiet",
    "raising_causes",
    "run",
]
