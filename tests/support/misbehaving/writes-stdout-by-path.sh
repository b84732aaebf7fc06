#!/bin/sh
echo "by path" > /dev/stdout && echo "errors by path" > /dev/stderr
