"""Answers read out of texts: formats, claims, numbers, choices, programs."""
