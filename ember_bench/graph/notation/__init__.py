"""The compact notation of graphs: parsed, built and written."""
