"""Tests and examples see the same data everywhere: what comes with unconv, whatever else the machine has."""

import os

os.environ["UNCONV_EMBEDDED_ONLY"] = "1"
