"""What is concluded from results: whether a change passes, and what others would have given."""
