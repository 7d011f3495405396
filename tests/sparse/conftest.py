"""Both solvers behind one fixture; the native one is left out only where it cannot be imported."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["torch", "native"])
def solver(request: pytest.FixtureRequest) -> str:
    if request.param == "native":
        pytest.importorskip("unconv._native", exc_type=ImportError)
    return str(request.param)
