"""What is concluded from results: choices, changes that pass, and when a run may stop."""
