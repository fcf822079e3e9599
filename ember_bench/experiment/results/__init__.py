"""The results of an experiment, computed from its stored rows."""
