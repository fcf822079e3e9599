"""Wire formats: one file each, for both transports."""
