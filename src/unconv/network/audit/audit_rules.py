"""The rules of the audit: what each one says, in a sentence, and how grave it is."""

from __future__ import annotations

from unconv.choices import Severity as Severity

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "hint")

AUDIT_RULES: dict[str, tuple[Severity, str]] = {
    "sizes-do-not-meet": ("error", "Two tensors that are joined have different sizes: the model fails on this input."),
    "uneven-overlap": (
        "warning",
        "The stride of a transposed convolution does not divide its kernel, so that neighbouring outputs are sums of "
        "unequal numbers of taps: a checkerboard (Odena, Dumoulin & Olah 2016).",
    ),
    "dropped-border": ("warning", "The last rows or columns of a layer's input are read by no window."),
    "only-padding": ("warning", "Some outputs of a layer see padding only: they carry nothing of the input."),
    "idle-taps": ("warning", "Some taps of a kernel meet padding only, at every position: they learn nothing."),
    "dead-end": ("warning", "A layer's output is used by nothing and not returned."),
    "misses-input": ("warning", "The output of an upsampling layer misses the size of the model's input by a cell."),
    "misses-multiple": (
        "hint",
        "A transposed convolution comes to no multiple of its stride, and to the size of no tensor before it.",
    ),
    "only-some-sizes": ("hint", "A decoder meets its skip connections only for some input sizes."),
    "unequal-phases": (
        "hint",
        "The weights pass unequal amounts of a constant to neighbouring outputs: a pattern of the stride's period "
        "(Sugawara, Shiota & Kiya 2018).",
    ),
    "skipped-cells": ("hint", "The window is smaller than its stride: some of the input is read by no window."),
    "unused-parameters": ("hint", "Parameters that the pass does not use."),
    "small-field": ("hint", "No unit sees the whole input before positions are summed up."),
    "large-field": ("hint", "Units see many times the input, most of it padding."),
    "faster-form": ("hint", "Another form of a layer returns the same, sooner on this machine."),
    "same-differs": (
        "hint",
        "Padding is put on both sides alike, where SAME of TensorFlow and ONNX's SAME_UPPER pad less in front: ported "
        "weights see the input moved by a cell. Of transposed layers, what is cropped in front.",
    ),
}
