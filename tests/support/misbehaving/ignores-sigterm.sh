#!/bin/sh
# Ignores SIGTERM and never ends by itself. Only builtins and one child that inherits the ignored signal.
trap '' TERM
echo ready
while :; do sleep 1; done
