#!/bin/sh
# The leader exits at once on SIGTERM; a member needs a moment to finish and then says so.
(
  trap 'sleep 0.3; echo "member finished"; exit 0' TERM
  echo ready
  while :; do
    sleep 1 &
    wait $!
  done
) &
trap 'exit 7' TERM
while :; do
  sleep 1 &
  wait $!
done
