"""Choices: the words that arguments take, as types, so that editors complete them and type checkers find misspellings.

At run time every function takes any text and says itself, in one line, which words it knows. Each type has the words of
the table that it stands for; a test compares them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

# The way back through a rectifier, see unconv.visualize.reverse.rules.
ReverseRule: TypeAlias = Literal["deconvnet", "guided", "gradient"]
ReverseRuleOrAuto: TypeAlias = Literal["auto", "deconvnet", "guided", "gradient"]
# How a network's outputs are read, see unconv.visualize.outputs.reading.
OutputReading: TypeAlias = Literal["auto", "class", "score", "sigmoid", "softmax"]
# Files of a report, see unconv.visualize.report.contact_sheets.
ReportFormat: TypeAlias = Literal["html", "png", "pdf"]

# Ways to draw a geometry, see unconv.explain.views.all_views and unconv.explain.themes.
ViewName: TypeAlias = Literal["gather", "scatter", "zeros", "matrix"]
ThemeName: TypeAlias = Literal["auto", "light", "dark"]

# Padding by name: valid is none; same is torch's, the other two are ONNX's.
PaddingName: TypeAlias = Literal["valid", "same", "same_upper", "same_lower"]

# Sparse coding: what happens at the border of an image, by what it is solved, what a noise is, what kernels must be.
Boundary: TypeAlias = Literal["crop", "valid", "circular"]
Solver: TypeAlias = Literal["auto", "native", "torch"]
Noise: TypeAlias = Literal["gaussian", "impulse"]
KernelConstraint: TypeAlias = Literal["unit", "zero_mean", "nonnegative", "zero_border"]
FirstKernels: TypeAlias = Literal["random", "patches"]
# What codes are returned as, see unconv.sparse.estimator.features.
CodeOutput: TypeAlias = Literal["auto", "pooled", "csr", "sparse", "dense"]

# Reading pictures: colours, the order of axes, how one is brought to a size.
Mode: TypeAlias = Literal["rgb", "grey", "keep"]
Layout: TypeAlias = Literal["CHW", "HWC"]
Interpolation: TypeAlias = Literal["bilinear", "bicubic", "nearest"]
Fit: TypeAlias = Literal["cover", "stretch"]
Split: TypeAlias = Literal["train", "test"]

# Layers that double a size, kinds of upsamplers in a model, forms of a transposed convolution, and what repeats cells
# in a resize-convolution.
UpsamplerName: TypeAlias = Literal[
    "transposed-k2", "transposed-k3", "transposed-k4", "sub-pixel", "sub-pixel-icnr", "resize", "bilinear"
]
UpsamplerKind: TypeAlias = Literal["transposed", "sub-pixel", "resize", "bilinear", "interpolation", "all"]
TransposedForm: TypeAlias = Literal["transposed", "sub-pixel", "zero-insertion"]
ResizeMode: TypeAlias = Literal["nearest", "linear"]

# The audit: how grave a finding is, and its rules.
Severity: TypeAlias = Literal["error", "warning", "hint"]
AuditRule: TypeAlias = Literal[
    "sizes-do-not-meet",
    "uneven-overlap",
    "dropped-border",
    "only-padding",
    "idle-taps",
    "dead-end",
    "misses-input",
    "misses-multiple",
    "only-some-sizes",
    "unequal-phases",
    "skipped-cells",
    "unused-parameters",
    "small-field",
    "large-field",
    "faster-form",
    "same-differs",
]

# Training: what a step is computed in, and by what the weights change.
Precision: TypeAlias = Literal["float32", "bfloat16", "float16"]
Optimiser: TypeAlias = Literal["adamw", "muon"]
