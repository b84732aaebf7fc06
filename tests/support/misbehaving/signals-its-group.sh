#!/bin/sh
# What many scripts do to end their children: signals its own process group, itself included.
trap 'trap "" TERM; kill -TERM 0; exit 6' TERM
sleep 1000 &
echo ready
wait
exit 6
