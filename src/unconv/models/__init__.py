"""Networks that torchvision lacks, one readable file each, and the way from a name to a network."""
