"""Programs that try to get out of the sandbox, to forge their score, or to use up the machine."""

CTYPES = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
"""
