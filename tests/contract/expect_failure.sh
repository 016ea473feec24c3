#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# expect_failure.sh LINE RUNNER ARGUMENT...: the runner must end with 1 and print a line that begins with FAIL and
# matches LINE.
set -u
line=$1
shift
output=$("$@")
status=$?
echo "$output"
[ $status -eq 1 ] || { echo "ended with $status, not 1" >&2; exit 1; }
echo "$output" | grep -Eq "^FAIL  .*$line" || { echo "no line FAIL ... $line" >&2; exit 1; }
