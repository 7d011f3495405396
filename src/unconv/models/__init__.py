"""Networks that torchvision lacks, one readable file each, and the way from a name to a network."""

# Here and not in resolve, so that a help text can name them without importing torch.
BUILT_IN_MODELS = ("efficientnet-lite0", "zfnet28")
