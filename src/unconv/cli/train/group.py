"""``unconv train``: networks trained on the user's data; one file a task."""

from __future__ import annotations

from unconv.cli.command import add_command, new_group
from unconv.cli.train import classify as train_classify, generate as train_generate, segment as train_segment

EXAMPLES = (
    "unconv train classify --data photos/ --model torchvision:resnet18",
    "unconv train segment --plot predictions.png",
    "unconv train generate --plot samples.png",
)

app = new_group("Train a network.", EXAMPLES)
add_command(app, train_classify.classify, train_classify.EXAMPLES, renamed=train_classify.RENAMED)
add_command(app, train_segment.segment, train_segment.EXAMPLES, renamed=train_segment.RENAMED)
add_command(app, train_generate.generate, train_generate.EXAMPLES, renamed=train_generate.RENAMED)
