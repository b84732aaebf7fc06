#!/bin/sh
# The leader exits at once on SIGTERM; three children ignore it and stay.
for _ in 1 2 3; do
  (
    trap '' TERM
    echo ready
    while :; do sleep 1; done
  ) &
done
trap 'exit 0' TERM
while :; do
  sleep 1 &
  wait $!
done
