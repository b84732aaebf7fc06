#!/usr/bin/python3
"""Not an agent: attaches to the process that its argument names and never asks for its end, as a debugger that hangs."""
import ctypes
import sys
import time

PTRACE_SEIZE = 0x4206
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
if libc.ptrace(PTRACE_SEIZE, int(sys.argv[1]), None, None) != 0:
    sys.exit(f"ptrace: {ctypes.get_errno()}")
print("holds", flush=True)
time.sleep(600)
