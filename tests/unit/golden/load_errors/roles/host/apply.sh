#!/bin/sh
set -e
ifup -a
