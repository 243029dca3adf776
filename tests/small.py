"""The smallest networks that a command can be told to train."""

NETWORKS = ("--size", 32, "--preset", "burgess", "--loss", "mse")
