#!/usr/bin/python3
"""Double fork with setsid in between, SIGTERM ignored, output kept; the leader stays until SIGTERM, or exits when told."""
import os
import signal
import sys
import time

if os.fork() == 0:
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "clean-env" in sys.argv:
        os.execve("/bin/sh", ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], {})
    print("ready", flush=True)
    while True:
        time.sleep(1)
if "leader-exits" in sys.argv:
    time.sleep(0.2)
    sys.exit(3)
while True:
    time.sleep(1)
