"""Functions of tensors, joins and attention: the answer names what is wrong, and makes the call run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unconv as uc
from unconv.network.near_sizes import sizes_near
from unconv.network.shapes.explain_shapes import ShapeError


class Net(nn.Module):
    """Layers by name, and a forward that is given."""

    def __init__(self, forward: Callable[..., object], **layers: Any) -> None:
        super().__init__()
        for name, layer in layers.items():
            setattr(self, name, nn.Parameter(layer) if isinstance(layer, Tensor) else layer)
        self.way = forward

    def forward(self, *inputs: Tensor) -> object:
        return self.way(self, *inputs)


def matched(call: Callable[[Tensor, Tensor], object], features: int = 6) -> nn.Module:
    return Net(lambda net, x: call(net.q(x), net.k(x)), q=nn.Linear(10, 8), k=nn.Linear(10, features))


def weighed(call: Callable[[Tensor, Tensor], object], *shape: int, features: int = 8) -> nn.Module:
    return Net(lambda net, x: call(net.q(x), net.w), q=nn.Linear(10, features), w=torch.zeros(shape))


def mapped(call: Callable[[Tensor], object], channels: int = 8) -> nn.Module:
    return Net(lambda net, x: call(net.c(x)), c=nn.Conv2d(3, channels, 3))


def attending(call: Callable[[Any, Tensor], object], features: int = 8, **more: Any) -> nn.Module:
    return Net(lambda net, x: call(net.a, net.q(x)), q=nn.Linear(10, features), a=nn.MultiheadAttention(8, 2, **more))


def towers(call: Callable[[Tensor, Tensor], object], *layers: nn.Module) -> nn.Module:
    return Net(lambda net, x: call(net.a(x), net.b(x)), a=layers[0], b=layers[1])


def embedded(places: int, resize: Callable[[Tensor], Tensor] = torch.clone) -> nn.Module:
    def forward(net: Any, x: Tensor) -> Tensor:
        tokens = net.patch(x).flatten(2).transpose(1, 2)
        whole: Tensor = torch.cat([net.cls.expand(len(x), -1, -1), tokens], 1) + resize(net.pos)
        return whole

    return Net(forward, patch=nn.Conv2d(3, 16, 4, 4), pos=torch.rand(1, places, 16), cls=torch.zeros(1, 1, 16))


def started(way: Callable[[Tensor, Tensor], object]) -> nn.Module:
    return Net(lambda net, x: way(net.l(x), net.cls), l=nn.Linear(10, 8), cls=torch.zeros(1, 1, 8))


def sampled(x: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(x, grid, align_corners=False)


def located(batch: Callable[[Tensor], int]) -> nn.Module:
    def forward(net: Any, x: Tensor) -> Tensor:
        return F.affine_grid(net.l(x).view(-1, 2, 3), [batch(x), 3, 8, 8], align_corners=False)

    return Net(forward, l=nn.Linear(10, 6))


def resized(x: Tensor) -> Tensor:
    grid = x[:, 1:].transpose(1, 2).unflatten(2, (8, 8))
    grid = F.interpolate(grid, size=(12, 12), mode="bicubic").flatten(2).transpose(1, 2)
    return torch.cat([x[:, :1], grid], 1)


def einsum(equation: str) -> Callable[..., Tensor]:
    return lambda *tensors: torch.einsum(equation, *tensors)


STEPS, VECTORS, PICTURES = torch.zeros(2, 7, 10), torch.zeros(2, 10), torch.zeros(2, 3, 8, 8)
CONV, NARROW, PADDED = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 6, 3), nn.Conv2d(3, 8, 3, padding=1)
SCORES = einsum("bqd,bkd->bqk")

# Name: the model, its input, what the answer says, what its fix says, and the model mended by that.
CASES: dict[str, tuple[nn.Module, Tensor, str, str, nn.Module]] = {
    "einsum of two features": (
        *(matched(SCORES), STEPS, "'d' of einsum 'bqd,bkd->bqk' is 8 in q and 6 in k", "nn.Linear(10, 8) in layer k"),
        matched(SCORES, 8),
    ),
    "einsum with a weight": (
        weighed(einsum("bd, de -> be"), 6, 4),
        *(VECTORS, "is 8 in q and 6 in w", "8 in axis 0 of w", weighed(einsum("bd, de -> be"), 8, 4)),
    ),
    "einsum of other axes": (
        matched(lambda q, k: SCORES(q, k[:, 0]), 8),
        *(STEPS, "k, 2×8, as 'bkd' of einsum", "2 subscripts"),
        matched(lambda q, k: torch.einsum("bqd,bd->bq", q, k[:, 0]), 8),
    ),
    "split by the method": (
        *(mapped(lambda x: x.split([4, 5], dim=1)), PICTURES, "splits axis 1 of c, 2×8×6×6, into 4 + 5 = 9"),
        *("9 channels out of layer c", mapped(lambda x: x.split([4, 5], dim=1), 9)),
    ),
    "split of features": (
        Net(lambda net, x: torch.split(net.l(x), [4, 5], -1), l=nn.Linear(10, 8)),
        *(STEPS, "and it has 8", "nn.Linear(10, 9) in layer l"),
        Net(lambda net, x: torch.split(net.l(x), [4, 5], -1), l=nn.Linear(10, 9)),
    ),
    "split of the batch": (
        *(mapped(lambda x: torch.split_with_sizes(x, [4, 4])), PICTURES, "splits axis 0", "dim=1"),
        mapped(lambda x: torch.split_with_sizes(x, [4, 4], dim=1)),
    ),
    "similarity": (
        *(matched(F.cosine_similarity), VECTORS, "vectors of 8 and 6 numbers", "nn.Linear(10, 8) in layer k"),
        matched(F.cosine_similarity, 8),
    ),
    "a product of keys that are not turned": (
        *(matched(torch.bmm, 8), STEPS, "q, 2×7×8, by k, 2×7×8 (bmm): 8 against 7", "x.transpose(-1, -2) of k"),
        matched(lambda q, k: torch.bmm(q, k.transpose(-1, -2)), 8),
    ),
    "a product of other features": (
        *(matched(lambda q, k: q @ k.mT), STEPS, "(matmul): 8 against 6", "nn.Linear(10, 8) in layer k"),
        matched(lambda q, k: q @ k.mT, 8),
    ),
    "a product with a weight": (
        *(weighed(torch.matmul, 6, 4), VECTORS, "by w, 6×4", "8 rows in w", weighed(torch.matmul, 8, 4)),
    ),
    "F.linear": (
        *(weighed(F.linear, 4, 6), STEPS, "by w, 4×6 (linear)", "nn.Linear(10, 6) in layer q or a weight of 4×8"),
        weighed(F.linear, 4, 6, features=6),
    ),
    "addmm": (
        weighed(lambda x, w: torch.addmm(torch.zeros(4), x, w), 6, 4),
        *(VECTORS, "q, 2×8, by w, 6×4 (addmm)", "8 rows in w"),
        weighed(lambda x, w: torch.addmm(torch.zeros(4), x, w), 8, 4),
    ),
    "bmm of four axes": (
        matched(lambda q, k: torch.bmm(q[:, None], k[:, None].mT), 8),
        *(STEPS, "which takes 3 axes of each", "torch.matmul"),
        matched(lambda q, k: torch.matmul(q[:, None], k[:, None].mT), 8),
    ),
    "F.conv2d": (
        Net(lambda net, x: F.conv2d(net.c(x), net.w), c=CONV, w=torch.zeros(4, 6, 3, 3)),
        *(PICTURES, "a weight of 4×6×3×3, which takes 6 channels: it has 8", "6 channels out of layer c"),
        Net(lambda net, x: F.conv2d(net.c(x), net.w), c=NARROW, w=torch.zeros(4, 6, 3, 3)),
    ),
    "F.group_norm": (
        *(mapped(lambda x: F.group_norm(x, 3)), PICTURES, "with 3 groups: 8 channels", "num_groups=1"),
        mapped(lambda x: F.group_norm(x, 1)),
    ),
    "F.layer_norm over channels": (
        *(mapped(lambda x: F.layer_norm(x, (8,))), PICTURES, "last axes of 8", "F.group_norm(x, 1)"),
        mapped(lambda x: F.group_norm(x, 1)),
    ),
    "a grid of coordinates behind the batch": (
        Net(lambda net, x: sampled(net.c(x), net.g(x)), c=CONV, g=nn.Conv2d(3, 2, 3)),
        *(PICTURES, "at g, 2×2×6×6", "grid.permute(0, 2, 3, 1)"),
        Net(lambda net, x: sampled(net.c(x), net.g(x).permute(0, 2, 3, 1)), c=CONV, g=nn.Conv2d(3, 2, 3)),
    ),
    "one grid for a batch": (
        *(mapped(lambda x: sampled(x, torch.zeros(1, 4, 4, 2))), PICTURES, "batches of 2 and 1"),
        *(
            "grid.expand(2, -1, -1, -1)",
            mapped(lambda x: sampled(x, torch.zeros(1, 4, 4, 2).expand(2, -1, -1, -1))),
        ),
    ),
    "an affine grid of another batch": (
        Net(
            lambda net, x: F.affine_grid(net.l(x).view(-1, 2, 3), [4, 3, 8, 8], align_corners=False), l=nn.Linear(10, 6)
        ),
        *(VECTORS, "2 matrices for a batch of 4", "size=(len(theta), 3, 8, 8)"),
        Net(
            lambda net, x: F.affine_grid(net.l(x).view(-1, 2, 3), [len(x), 3, 8, 8], align_corners=False),
            l=nn.Linear(10, 6),
        ),
    ),
    "a size with batch and channels": (
        Net(lambda net, x: F.interpolate(net.c(x), size=x.shape), c=CONV),
        *(PICTURES, "4 numbers for 2 axes of places", "target.shape[2:]"),
        Net(lambda net, x: F.interpolate(net.c(x), size=x.shape[2:]), c=CONV),
    ),
    "a mode for other axes": (
        *(mapped(nn.Upsample(scale_factor=2, mode="trilinear")), PICTURES, "takes 3 axes of places, not 2"),
        *('mode="bilinear"', mapped(nn.Upsample(scale_factor=2, mode="bilinear"))),
    ),
    "attention to other features": (
        *(matched(lambda q, k: F.scaled_dot_product_attention(q, k, q)), STEPS, "queries of 8 features (q)"),
        *("nn.Linear(10, 8) in layer k", matched(lambda q, k: F.scaled_dot_product_attention(q, k, q), 8)),
    ),
    "one mask of tokens for each of a batch": (
        matched(lambda q, k: F.scaled_dot_product_attention(q, k, q, attn_mask=torch.zeros(2, 7)), 8),
        *(STEPS, "masks scores of 2×7×7", "mask[:, None]"),
        matched(lambda q, k: F.scaled_dot_product_attention(q, k, q, attn_mask=torch.zeros(2, 7)[:, None]), 8),
    ),
    "features of a query, by name": (
        attending(lambda a, x: a(query=x, key=x, value=x), 6, batch_first=True),
        *(STEPS, "a takes 8 features in its query and gets 6 from q", "nn.Linear(6, 8) before it"),
        attending(lambda a, x: a(query=x, key=x, value=x), batch_first=True),
    ),
    "features of a key": (
        Net(lambda net, x: net.a(net.q(x), x, x), q=nn.Linear(10, 8), a=nn.MultiheadAttention(8, 2)),
        *(STEPS, "8 features in its key and gets 10 from the input", "kdim=10 in a"),
        Net(lambda net, x: net.a(net.q(x), x, x), q=nn.Linear(10, 8), a=nn.MultiheadAttention(8, 2, kdim=10, vdim=10)),
    ),
    "a mask of tokens that are in front": (
        attending(lambda a, x: a(x, x, x, attn_mask=torch.zeros(7, 7))),
        *(STEPS, "takes an attn_mask of 2×2", "batch_first=True in a"),
        attending(lambda a, x: a(x, x, x, attn_mask=torch.zeros(7, 7)), batch_first=True),
    ),
    "a mask for each of a batch": (
        attending(lambda a, x: a(x, x, x, attn_mask=torch.zeros(2, 7, 7)), batch_first=True),
        *(STEPS, "or 4×7×7 (batch × heads first) and gets 2×7×7", "mask.repeat_interleave(2, 0)"),
        attending(lambda a, x: a(x, x, x, attn_mask=torch.zeros(2, 7, 7).repeat_interleave(2, 0)), batch_first=True),
    ),
    "a padding mask": (
        attending(lambda a, x: a(x, x, x, key_padding_mask=torch.zeros(2, 7).bool())),
        *(STEPS, "a key_padding_mask of 7×2 (batch, tokens) and gets 2×7", "batch_first=True in a"),
        attending(lambda a, x: a(x, x, x, key_padding_mask=torch.zeros(2, 7).bool()), batch_first=True),
    ),
    "keys of fewer tokens": (
        attending(lambda a, x: a(x, x[:, :5], x[:, :5])),
        *(STEPS, "its query is 2×7 and its key 2×5, of batches 7 and 5", "batch_first=True in a"),
        attending(lambda a, x: a(x, x[:, :5], x[:, :5]), batch_first=True),
    ),
    "attention over maps": (
        Net(lambda net, x: net.a(*[net.c(x)] * 3), c=CONV, a=nn.MultiheadAttention(8, 2)),
        *(PICTURES, "a takes (tokens, batch, features) and gets 2×8×6×6 from c", "x.flatten(2).permute(2, 0, 1)"),
        Net(lambda net, x: net.a(*[net.c(x).flatten(2).permute(2, 0, 1)] * 3), c=CONV, a=nn.MultiheadAttention(8, 2)),
    ),
    "a stack of other sizes": (
        *(towers(lambda a, b: torch.stack([a, b]), CONV, PADDED), PICTURES, "a comes to 6×6 and b to 8×8"),
        *("padding=1 in layer a", towers(lambda a, b: torch.stack([a, b]), PADDED, PADDED)),
    ),
    "a stack of other features": (
        towers(lambda a, b: torch.stack([a, b], 1), nn.Linear(10, 8), nn.Linear(10, 6)),
        *(STEPS, "they differ in features", "nn.Linear(6, 8) behind b"),
        towers(lambda a, b: torch.stack([a, b], 1), nn.Linear(10, 8), nn.Sequential(nn.Linear(10, 6), nn.Linear(6, 8))),
    ),
    "tokens put together by features": (
        towers(lambda a, b: torch.cat([a, b[:, :5]], -1), nn.Linear(10, 8), nn.Linear(10, 6)),
        *(STEPS, "they differ in tokens", "x[:, :5] of a"),
        towers(lambda a, b: torch.cat([a[:, :5], b[:, :5]], -1), nn.Linear(10, 8), nn.Linear(10, 6)),
    ),
    "channels put together by the batch": (
        *(towers(lambda a, b: torch.cat([a, b]), CONV, NARROW), PICTURES, "8 channels against 6"),
        *("torch.cat([a, b], 1)", towers(lambda a, b: torch.cat([a, b], 1), CONV, NARROW)),
    ),
    "maps and a vector put together": (
        towers(lambda a, b: torch.cat([a, b.mean((2, 3))], 1), CONV, NARROW),
        *(PICTURES, "mean 2×6", "x[..., None, None].expand(-1, -1, 6, 6) of mean"),
        towers(lambda a, b: torch.cat([a, b.mean((2, 3))[..., None, None].expand(-1, -1, 6, 6)], 1), CONV, NARROW),
    ),
    "a step and a vector put together": (
        Net(lambda net, x: torch.cat([x[:, :1], net.l(x).mean(1)], -1), l=nn.Linear(10, 6)),
        *(STEPS, "mean 2×6", "x[:, None] of mean"),
        Net(lambda net, x: torch.cat([x[:, :1], net.l(x).mean(1)[:, None]], -1), l=nn.Linear(10, 6)),
    ),
    "steps and a vector put together": (
        Net(lambda net, x: torch.cat([x, net.l(x).mean(1)], -1), l=nn.Linear(10, 6)),
        *(STEPS, "mean 2×6", "x[:, None].expand(-1, 7, -1) of mean"),
        Net(lambda net, x: torch.cat([x, net.l(x).mean(1)[:, None].expand(-1, 7, -1)], -1), l=nn.Linear(10, 6)),
    ),
    "a gate for all steps": (
        Net(lambda net, x: net.l(x) * net.l(x).mean(1), l=nn.Linear(10, 6)),
        *(STEPS, "mean 2×6", "x[:, None] of mean"),
        Net(lambda net, x: net.l(x) * net.l(x).mean(1)[:, None], l=nn.Linear(10, 6)),
    ),
    "a factor for other channels": (
        Net(lambda net, x: net.c(x) * net.g(x.mean((2, 3)))[..., None, None], c=CONV, g=nn.Linear(3, 6)),
        *(PICTURES, "8 channels against 6", "nn.Linear(3, 8) in layer g"),
        Net(lambda net, x: net.c(x) * net.g(x.mean((2, 3)))[..., None, None], c=CONV, g=nn.Linear(3, 8)),
    ),
    "one-hot classes along the last axis": (
        *(mapped(lambda x: x * torch.zeros(2, 6, 6, 8)), PICTURES, "2×6×6×8", "x.permute(0, 3, 1, 2)"),
        mapped(lambda x: x * torch.zeros(2, 6, 6, 8).permute(0, 3, 1, 2)),
    ),
    "pictures of two sizes compared": (
        towers(lambda a, b: F.cosine_similarity(a.flatten(1), b.flatten(1)), CONV, PADDED),
        *(PICTURES, "vectors of 288 and 512 numbers", "nn.AdaptiveAvgPool2d(1) before the flatten"),
        towers(lambda a, b: F.cosine_similarity(a.mean((2, 3)), b.mean((2, 3))), CONV, PADDED),
    ),
    "a token of its own put in front": (
        Net(lambda net, x: torch.cat([net.l(x)[:, 0], net.l(x)], 1), l=nn.Linear(10, 8)),
        *(STEPS, "l is 2×8", "x[:, None] of l"),
        Net(lambda net, x: torch.cat([net.l(x)[:, 0][:, None], net.l(x)], 1), l=nn.Linear(10, 8)),
    ),
    "rows compared with rows": (
        *(matched(torch.mm), VECTORS, "(mm): 8 against 2", "x.T of k, behind nn.Linear(10, 8) in layer k"),
        matched(lambda q, k: torch.mm(q, k.T), 8),
    ),
    "vectors resized": (
        Net(lambda net, x: F.interpolate(net.l(x), scale_factor=2), l=nn.Linear(10, 8)),
        *(VECTORS, "which has no places", "(batch, channels, places)"),
        Net(lambda net, x: F.interpolate(net.l(x)[:, None], scale_factor=2), l=nn.Linear(10, 8)),
    ),
    "swapped axes": (
        towers(lambda a, b: a.mT + b, nn.Linear(10, 8), nn.Linear(10, 8)),
        *(STEPS, "a is 2×8×7 and b 2×7×8", "x.transpose(-1, -2) of b"),
        towers(lambda a, b: a.mT + b.transpose(-1, -2), nn.Linear(10, 8), nn.Linear(10, 8)),
    ),
    "a mask of tokens": (
        matched(lambda q, _: q.masked_fill(torch.ones(2, 7).bool(), 0.0)),
        *(STEPS, "(masked_fill)", "x[..., None]"),
        matched(lambda q, _: q.masked_fill(torch.ones(2, 7).bool()[..., None], 0.0)),
    ),
    "position embeddings of another image": (
        *(embedded(65), torch.zeros(2, 3, 48, 48), "pos is for 65 tokens, and there are 145"),
        *('x[:, 1:].transpose(1, 2).unflatten(2, (8, 8)), size=(12, 12), mode="bicubic")', embedded(65, resized)),
    ),
    "a class token for one image": (
        started(lambda x, cls: torch.cat([cls, x], 1)),
        *(STEPS, "cls is 1×1×8 and l 2×7×8", "x.expand(2, -1, -1) of cls"),
        Net(
            lambda net, x: torch.cat([net.cls.expand(len(x), -1, -1), net.l(x)], 1),
            l=nn.Linear(10, 8),
            cls=torch.zeros(1, 1, 8),
        ),
    ),
    "a shortcut past a stride": (
        Net(lambda net, x: net.c(x) + x, c=nn.Conv2d(3, 8, 3, 2, 1)),
        *(PICTURES, "c comes to 4×4 and the input to 8×8", "nn.Conv2d(3, 8, 1, stride=2) of the input"),
        Net(lambda net, x: net.c(x) + net.s(x), c=nn.Conv2d(3, 8, 3, 2, 1), s=nn.Conv2d(3, 8, 1, stride=2)),
    ),
    "heads of a view": (
        Net(lambda net, x: net.l(x).view(2, 7, 3, 4), l=nn.Linear(10, 8)),
        *(STEPS, "8 numbers do not fill 3×4", "nn.Linear(10, 12) in layer l"),
        Net(lambda net, x: net.l(x).view(2, 7, 3, 4), l=nn.Linear(10, 12)),
    ),
    "an order without the batch": (
        *(mapped(lambda x: x[0].permute(0, 2, 3, 1)), PICTURES, "the 3 axes of", "x.permute(1, 2, 0)"),
        mapped(lambda x: x[0].permute(1, 2, 0)),
    ),
    "an axis that is not there": (
        Net(lambda net, x: net.l(x).flatten(2, 3), l=nn.Linear(10, 8)),
        *(STEPS, "asks for axis 3 of l (flatten), whose shape is 2×7×8", "an axis from 0 to 2"),
        Net(lambda net, x: net.l(x).flatten(1, 2), l=nn.Linear(10, 8)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_answers_make_the_call_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where no size works, the search for some takes all of its time.
    monkeypatch.setattr("unconv.network.shapes.explain_shapes.sizes_near", partial(sizes_near, seconds=0.5))
    model, x, says, fix, mended = CASES[name]
    with pytest.raises((RuntimeError, ValueError, AssertionError, IndexError)) as plain:
        model(x)
    with pytest.raises(ShapeError) as told, uc.explain_shapes():
        model(x)
    assert says in str(told.value)
    assert fix in told.value.fix
    assert str(told.value.__cause__) == str(plain.value)
    mended(x)
    for (size,) in told.value.input_sizes:
        model(torch.zeros(len(x), *size))


class Pair(nn.Module):
    """Two inputs, and what is made of them."""

    def __init__(self, way: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.seen, self.read, self.way = nn.Linear(10, 8), nn.Linear(5, 8), way

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        return self.way(self.seen(image), self.read(text))


@pytest.mark.parametrize("way", [torch.add, lambda a, b: torch.cat([a, b], 1), lambda a, b: torch.stack([a, b])])
def test_inputs_of_other_batches_are_named(way: Callable[[Tensor, Tensor], Tensor]) -> None:
    image, text = torch.zeros(4, 10), torch.zeros(3, 5)
    for call in (lambda: Pair(way)(image, text), lambda: Pair(way)(text=text, image=image)):
        with pytest.raises(ShapeError, match="4 against 3 in the batch") as told, uc.explain_shapes():
            call()
        assert "the input image has 4 and the input text 3" in told.value.fix
        assert "keep the batch" not in told.value.fix
    Pair(way)(image, torch.zeros(4, 5))


def test_a_batch_that_was_lost_is_told_from_one_that_is_another() -> None:
    model = Pair(lambda a, b: a.reshape(-1, 4) + b[:, :4])
    with pytest.raises(ShapeError, match="8 against 4 in the batch") as told, uc.explain_shapes():
        model(torch.zeros(4, 10), torch.zeros(4, 5))
    assert "keep the batch in front" in told.value.fix
    assert "where it was lost, before seen" in told.value.fix
