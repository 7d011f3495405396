"""The Hugging Face hub, asked only where it can be reached: else its client retries for most of a minute."""

from __future__ import annotations

import contextlib
import socket
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlparse

PATIENCE = 5.0


@contextlib.contextmanager
def cache_alone(alone: bool) -> Iterator[None]:
    """Where it is so, the packages that fetch from the hub look into its local cache alone."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or alone
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def hub_is_reachable() -> bool:
    """Whether the hub answers; not where the user has set HF_HUB_OFFLINE."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    address = urlparse(constants.ENDPOINT)
    if urllib.request.getproxies():
        # Behind a proxy a direct connection proves nothing.
        return True
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname, port), timeout=PATIENCE).close()
    except OSError:
        return False
    return True
