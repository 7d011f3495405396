"""D and Dᵀ against the matrix written out, the Fourier formula and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

from tests.sparse.oracles import BOUNDARIES, matrix
from unconv.errors import SparseError
from unconv.sparse.code import boundary as sparse_boundary
from unconv.sparse.code.boundary import code_size, correlate, correlate_rows, correlation_strips, synthesize
from unconv.sparse.code.fft_convolutions import Convolutions
from unconv.sparse.code.step_size import squared_norm_bound
from unconv.sparse.code.synthesize import synthesize_sparse


@st.composite
def cases(draw: st.DrawFn, axes: tuple[int, ...] = (1, 2, 3)) -> tuple[str, torch.Tensor, tuple[int, ...]]:
    """(boundary, dictionary, image size): kernels larger than the image too, where they may be."""
    boundary = draw(st.sampled_from(BOUNDARIES))
    count = draw(st.sampled_from(axes))
    size = tuple(draw(st.integers(1, 6 if count < 3 else 4)) for _ in range(count))
    most = [n + 2 if boundary == "crop" else n for n in size]
    kernel = tuple(draw(st.integers(1, min(m, 4))) for m in most)
    n_kernels, channels = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    return boundary, torch.randn(n_kernels, channels, *kernel, generator=generator, dtype=torch.float64), size


def random_pair(boundary: str, dictionary: torch.Tensor, size: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    codes = torch.randn(len(dictionary), *code_size(size, dictionary.shape[2:], boundary), dtype=torch.float64)
    return codes, torch.randn(dictionary.shape[1], *size, dtype=torch.float64)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_both_equal_the_matrix_written_out(case: tuple[str, torch.Tensor, tuple[int, ...]]) -> None:
    boundary, dictionary, size = case
    codes, image = random_pair(*case)
    columns = matrix(dictionary.numpy(), size, boundary)
    np.testing.assert_allclose(
        synthesize(codes, dictionary, boundary, size).flatten(), columns @ codes.flatten().numpy(), atol=1e-12
    )
    np.testing.assert_allclose(
        correlate(image, dictionary, boundary).flatten(), columns.T @ image.flatten().numpy(), atol=1e-12
    )


@settings(max_examples=150, deadline=None)
@given(cases(), st.integers(1, 200))
def test_adjoint_passes_dot_test_in_all_forms(case: tuple[str, torch.Tensor, tuple[int, ...]], entries: int) -> None:
    boundary, dictionary, size = case
    codes, image = random_pair(*case)
    spectra = Convolutions.of(dictionary, boundary, size)
    spectrum = torch.fft.rfftn(dictionary, spectra.torus, tuple(range(2, dictionary.ndim)))
    spectra = Convolutions(dictionary, boundary, size, spectra.torus, spectrum)
    back = correlate(image, dictionary, boundary)
    inner = float((synthesize(codes, dictionary, boundary, size) * image).sum())
    assert inner == pytest.approx(float((codes * back).sum()), abs=1e-9)
    assert inner == pytest.approx(float((spectra.synthesize(codes) * image).sum()), abs=1e-9)
    strips = torch.cat([block for _, block in correlation_strips(image, dictionary, boundary, entries)], 1)
    torch.testing.assert_close(strips, back)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_spectra_equal_sums_over_taps(case: tuple[str, torch.Tensor, tuple[int, ...]]) -> None:
    boundary, dictionary, size = case
    codes, image = random_pair(*case)
    before = sparse_boundary.correlate(image, dictionary, boundary)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unconv.sparse.code.fft_convolutions._SYNTHESIS_TAPS", 0)
        patch.setattr("unconv.sparse.code.fft_convolutions._CORRELATION_TAPS", 0)
        spectra = Convolutions.of(dictionary, boundary, size)
        torch.testing.assert_close(spectra.correlate(image), before)
        torch.testing.assert_close(spectra.synthesize(codes), synthesize(codes, dictionary, boundary, size))


@settings(max_examples=100, deadline=None)
@given(cases(), st.integers(0, 20))
def test_sparse_reconstruction_equals_dense(case: tuple[str, torch.Tensor, tuple[int, ...]], nonzeros: int) -> None:
    boundary, dictionary, size = case
    codes, _ = random_pair(*case)
    codes.flatten()[nonzeros:] = 0
    sparse = codes.to_sparse().coalesce()
    found = synthesize_sparse(sparse.indices(), sparse.values(), dictionary, boundary, size)
    torch.testing.assert_close(found, synthesize(codes, dictionary, boundary, size))


def test_sparse_reconstruction_in_chunks_equals_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unconv.sparse.code.synthesize._CHUNK_ENTRIES", 100)
    dictionary, codes = torch.randn(4, 2, 3, 3), torch.randn(4, 10, 10)
    sparse = codes.to_sparse().coalesce()
    found = synthesize_sparse(sparse.indices(), sparse.values(), dictionary, "crop", (8, 8))
    torch.testing.assert_close(found, synthesize(codes, dictionary, "crop", (8, 8)), atol=1e-4, rtol=1e-4)


def test_circular_equals_the_fourier_formula_of_sporco() -> None:
    fft = pytest.importorskip("sporco.fft")
    rng = np.random.default_rng(0)
    dictionary, codes = rng.standard_normal((5, 1, 4, 3)), rng.standard_normal((5, 12, 10))
    product = fft.fftn(dictionary[:, 0], (12, 10), (1, 2)) * fft.fftn(codes, axes=(1, 2))
    expected = fft.ifftn(product, axes=(1, 2)).real.sum(0)
    found = synthesize(torch.from_numpy(codes), torch.from_numpy(dictionary), "circular", (12, 10))
    np.testing.assert_allclose(found[0], expected, atol=1e-12)


def test_crop_is_the_middle_of_torchs_transposed_convolution() -> None:
    dictionary, codes = torch.randn(3, 2, 5, 4), torch.randn(2, 3, 12, 11)
    full = F.conv_transpose2d(codes, dictionary)
    torch.testing.assert_close(synthesize(codes, dictionary, "crop", (8, 8)), full[:, :, 4:-4, 3:-3])
    padded = F.conv_transpose2d(codes, dictionary, padding=(4, 3))
    torch.testing.assert_close(synthesize(codes, dictionary, "crop", (8, 8)), padded)


@settings(max_examples=60, deadline=None)
@given(cases((1, 2)))
def test_norm_bound_is_above_the_norm_and_exact_for_circular(
    case: tuple[str, torch.Tensor, tuple[int, ...]],
) -> None:
    boundary, dictionary, size = case
    exact = np.linalg.norm(matrix(dictionary.numpy(), size, boundary), 2) ** 2
    bound = float(squared_norm_bound(dictionary, boundary, size))
    assert bound >= exact * (1 - 1e-9)
    if boundary == "circular":
        assert bound == pytest.approx(exact)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_norm_bound_of_large_images_is_within_three_percent(boundary: str, channels: int) -> None:
    dictionary = torch.randn(6, channels, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    size = (301, 299)
    spectrum = torch.fft.fft2(dictionary, s=size).permute(2, 3, 0, 1)
    exact = float(torch.linalg.matrix_norm(spectrum, 2).max()) ** 2
    assert exact <= float(squared_norm_bound(dictionary, boundary, size)) <= 1.03 * exact


def test_rows_need_only_their_pixels() -> None:
    image = torch.randn(1, 20, 9)
    image[:, 12:] = float("nan")
    assert bool(torch.isfinite(correlate_rows(image, torch.ones(2, 1, 4, 3), "crop", slice(5, 12))).all())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((4, 8), (5, 5), "valid"), "kernel 5x5 is larger than the image 4x8"),
        (((4,), (5,), "circular"), "kernel 5 is larger than the image 4"),
        (((4, 8), (5,), "crop"), "image size 4x8 has 2 axes, kernel size 5 1"),
        (((4,), (2,), "same"), "boundary 'same' is not known"),
    ],
)
def test_sizes_that_do_not_fit_are_one_line(arguments: tuple[tuple[int, ...], ...], message: str) -> None:
    with pytest.raises(SparseError, match=message) as caught:
        code_size(*arguments)
    assert "\n" not in str(caught.value)


def test_codes_of_the_wrong_size_are_refused() -> None:
    with pytest.raises(SparseError, match="feature maps of 12x12"):
        synthesize(torch.zeros(3, 8, 8), torch.zeros(3, 1, 5, 5), "crop", (8, 8))
