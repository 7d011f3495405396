"""Window walk: which input cells one window touches, along one axis.

The whole subject rests on one line: tap t of the window at output o touches input s·o + d·t − p. A convolution, a
pooling and, read backwards, a transposed convolution are this walk.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Walk:
    """One axis of a window that steps over an input.

    >>> walk = Walk(input_size=5, output_size=3, kernel_size=3, stride=2, pad_before=1, dilation=1)
    >>> walk.touched(0)
    ((1, 0), (2, 1))
    >>> walk.touching(1)
    ((2, 0), (0, 1))
    """

    input_size: int
    output_size: int
    kernel_size: int
    stride: int
    pad_before: int
    dilation: int

    def position(self, output: int, tap: int) -> int:
        """Input cell under a tap, s·o + d·t − p; below 0 or past the end it is padding."""
        return self.stride * output + self.dilation * tap - self.pad_before

    def touched(self, output: int) -> tuple[tuple[int, int], ...]:
        """(tap, input) pairs of one window, padding left out."""
        pairs = ((tap, self.position(output, tap)) for tap in range(self.kernel_size))
        return tuple((tap, cell) for tap, cell in pairs if 0 <= cell < self.input_size)

    def windows_with(self, tap: int) -> range:
        """Outputs whose window has this tap on an input cell and not on padding.

        >>> Walk(input_size=5, output_size=3, kernel_size=3, stride=2, pad_before=1, dilation=1).windows_with(0)
        range(1, 3)
        """
        offset = self.pad_before - self.dilation * tap
        first = max(0, -(-offset // self.stride))
        stop = min(self.output_size, (self.input_size - 1 + offset) // self.stride + 1)
        return range(first, max(first, stop))

    def touching(self, cell: int) -> tuple[tuple[int, int], ...]:
        """(tap, output) pairs of all windows that touch one input cell, by output."""
        found = []
        for tap in reversed(range(self.kernel_size)):
            output, off_step = divmod(cell + self.pad_before - self.dilation * tap, self.stride)
            if not off_step and 0 <= output < self.output_size:
                found.append((tap, output))
        return tuple(found)
