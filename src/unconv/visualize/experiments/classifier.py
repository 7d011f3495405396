"""A linear classifier: logistic regression over all classes at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from unconv.errors import UnconvError
from unconv.results import Shown

STEPS = 500
# Largest entry of the gradient at which the minimum counts as found.
TOLERANCE = 1e-7


@dataclass(frozen=True, eq=False, repr=False)
class LinearClassifier(Shown):
    """Scores xW + b of standardised features.

    Attributes:
        weight: ``(feature, class)``.
        bias: ``(class)``.
        mean: of the features it was fitted to.
        scale: their standard deviations; 1 where a feature is constant.
        loss: what was minimised, at the end.
    """

    weight: Float[Tensor, "feature class_"]
    bias: Float[Tensor, " class_"]
    mean: Float[Tensor, " feature"]
    scale: Float[Tensor, " feature"]
    loss: float

    def predict(self, features: Float[Tensor, "sample feature"]) -> Int[Tensor, " sample"]:
        """The class with the largest score."""
        standard = (features.double() - self.mean) / self.scale
        return (standard @ self.weight + self.bias).argmax(1)


def fit_classifier(
    features: Float[Tensor, "sample feature"], labels: Int[Tensor, " sample"], classes: int, penalty: float | int = 1.0
) -> LinearClassifier:
    """Logistic regression of labels on standardised features, fitted until the gradient is gone.

    min over W, b of Σ_n −log softmax(x_n W + b)[y_n] + (penalty/2) ‖W‖²: what scikit-learn's ``LogisticRegression``
    minimises with C = 1/penalty. Convex, begun at zero: the same every time.

    Args:
        features: any numbers; they are shifted and scaled to mean 0 and deviation 1 each.
        labels: from 0.
        classes: how many there are.
        penalty: above 0.

    Raises UnconvError for a penalty that is not positive.

    >>> features = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> classifier = fit_classifier(features, torch.tensor([0, 0, 1, 1]), classes=2)
    >>> classifier.predict(torch.tensor([[0.5], [2.5]]))
    tensor([0, 1])
    """
    if not 0 < penalty < float("inf"):
        raise UnconvError(f"fit_classifier: penalty {penalty}; give a finite number above 0")
    mean = features.double().mean(0)
    deviation = features.double().std(0, correction=0)
    scale = torch.where(deviation > 0, deviation, 1)
    standard = (features.double() - mean) / scale
    with torch.inference_mode(False), torch.enable_grad():
        standard = standard.clone()
        weight = torch.zeros(standard.shape[1], classes, dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
        search = torch.optim.LBFGS(
            [weight, bias],
            max_iter=STEPS,
            history_size=20,
            line_search_fn="strong_wolfe",
            tolerance_grad=TOLERANCE,
            tolerance_change=0.0,
        )

        def objective() -> Tensor:
            search.zero_grad()
            loss = F.cross_entropy(standard @ weight + bias, labels, reduction="sum")
            loss = loss + 0.5 * penalty * weight.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        search.step(objective)  # type: ignore[no-untyped-call]
        loss = float(objective().detach())
    return LinearClassifier(weight.detach(), bias.detach(), mean, scale, loss)
