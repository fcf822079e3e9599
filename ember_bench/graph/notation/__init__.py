"""The compact notation of graphs: read, built and written."""
