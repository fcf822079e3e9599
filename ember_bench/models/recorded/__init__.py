"""Recorded answers: their files and where these are found."""
