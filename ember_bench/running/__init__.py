"""Running an experiment from grid to results, for the command, Python and notebooks alike."""
