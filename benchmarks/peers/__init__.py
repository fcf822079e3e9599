"""What the harness is measured against: each a program, run by the Python of its environment."""
