#!/bin/sh
# Says whether a process of an earlier run still holds its lock, leaves a detached child that holds it, and fails.
exec 9> "$HOME/lock"
if flock --nonblock 9; then echo "lock free"; else echo "lock held by an earlier run"; fi
setsid sleep 1000 &
(trap '' TERM; sleep 1000) &
exit 3
