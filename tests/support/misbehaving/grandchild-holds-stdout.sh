#!/bin/sh
# Exits at once while a detached grandchild keeps both outputs open.
setsid sleep 1000 &
echo ready
exit 4
