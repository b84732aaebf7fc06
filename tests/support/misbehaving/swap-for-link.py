#!/usr/bin/python3
"""Swaps the folder argv[1] for a link to argv[2] and back, at times through nothing, until its standard input ends."""
import ctypes
import os
import select
import sys

folder, target = sys.argv[1:3]
link = folder + ".link"
AT_FDCWD, RENAME_EXCHANGE = -100, 2
libc = ctypes.CDLL(None)


def exchange():
    libc.renameat2(AT_FDCWD, folder.encode(), AT_FDCWD, link.encode(), RENAME_EXCHANGE)


os.symlink(target, link)
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(20):
        exchange()
        exchange()
    os.rename(folder, folder + ".kept")
    if not os.path.lexists(folder):
        os.rename(folder + ".kept", folder)
