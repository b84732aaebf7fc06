#!/bin/sh
kill -s "${1:-SEGV}" $$
