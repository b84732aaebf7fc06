#!/usr/bin/python3
"""The leader stays; a descendant replaces itself by a child again and again, each in a session of its own. All ignore SIGTERM."""
import os
import signal
import time

# A chain that a test failed to end must not run on: nobody could catch it by its pid.
deadline = time.monotonic() + 15
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() != 0:
    print("ready", flush=True)
    while True:
        time.sleep(1)
while time.monotonic() < deadline:
    if os.fork() != 0:
        time.sleep(0.02)
        os._exit(0)
    os.setsid()
