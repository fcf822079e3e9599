"""`@jit`: programs traced into plans whose calls run at the same time."""
