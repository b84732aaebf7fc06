#!/bin/sh
# A burst smaller than a pipe's buffer, then an immediate exit: the last line must survive.
i=0
while [ "$i" -lt 500 ]; do
  echo "line $i"
  i=$((i + 1))
done
echo "last line"
