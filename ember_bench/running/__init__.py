"""A run from grid to results: the part that the command, Python and notebooks share."""
