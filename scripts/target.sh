#!/bin/sh
# Prints where Cargo puts what it builds here.
set -eu
cargo metadata --format-version 1 --no-deps --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/'
