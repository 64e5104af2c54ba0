#!/bin/sh
# The page of labctl/web: the container's own name, and who asked.
echo "Content-Type: text/plain"
echo
echo "hello from $(hostname), asked by $REMOTE_ADDR:$REMOTE_PORT"
