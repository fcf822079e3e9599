"""The response store: its file, its writer, its repair."""
