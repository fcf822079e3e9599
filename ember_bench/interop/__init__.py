"""Logs and tables of other tools, read into items and recorded answers."""
