"""Optimisation of an architecture's prompts by other packages, with our calls and statistics."""
