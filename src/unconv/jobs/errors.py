"""The error of the long jobs."""

from __future__ import annotations

from unconv.errors import UnconvError


class JobError(UnconvError):
    """A long job that cannot start, go on or be resumed; the message says what would."""
