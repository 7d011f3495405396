"""A small LeNet on scikit-learn's digits, trained by hand."""

from __future__ import annotations

from unconv.models.by_hand.network import accuracy, small_lenet, train


def main() -> None:
    """Train on three quarters of scikit-learn's digits, and tell how many of the others are named rightly."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = digits.images[:, None] / 8 - 1
    parts = train_test_split(images, digits.target, test_size=0.25, stratify=digits.target, random_state=0)
    learn, hold, names, held = parts
    layers = small_lenet()
    for epoch, (loss, weights) in enumerate(train(layers, learn, names), start=1):
        right = accuracy(layers, weights, hold, held)
        print(f"epoch {epoch:2}: loss {loss:.4f}, {100 * right:.1f}% of those held out named rightly")


if __name__ == "__main__":
    main()
