#!/bin/sh
# A leader, a child and a double-forked daemon in a session of its own; all ignore SIGTERM and hold the output.
trap '' TERM
(setsid sh -c 'trap "" TERM; echo "daemon ready"; while :; do sleep 1; done' &)
(while :; do sleep 1; done) &
echo "leader ready"
while :; do sleep 1; done
