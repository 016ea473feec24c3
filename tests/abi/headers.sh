#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# headers.sh INCLUDE_DIR COMPILER LANGUAGE STANDARD: every public header compiles alone, and twice, without a warning.
set -eu
include_dir=$1 compiler=$2 language=$3 standard=$4
failed=0
cd "$include_dir"
for header in $(find bfr -name '*.h' | sort); do
    printf '#include <%s>\n#include <%s>\nextern int bfr_not_empty;\n' "$header" "$header" |
        "$compiler" -x "$language" "-std=$standard" -pedantic -Wall -Wextra -Wshadow -Wundef -Werror -fsyntax-only \
            -I. - || { echo "$header does not compile alone with $compiler -std=$standard" >&2; failed=1; }
done
exit $failed
