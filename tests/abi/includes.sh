#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# includes.sh INCLUDE_DIR: the public headers include one another and four headers of the C library, nothing else, so
# that a plugin never depends on a library of the daemon's.
set -eu
cd "$1"
foreign=$(grep -rnE '^ *# *include *<' bfr | grep -vE '<(stdint|stddef|stdbool|stdarg)\.h>' || true)
missing=$(grep -rL 'SPDX-License-Identifier: Apache-2.0' bfr || true)
[ -z "$foreign" ] || echo "includes more than it may: $foreign" >&2
[ -z "$missing" ] || echo "no licence line: $missing" >&2
[ -z "$foreign$missing" ]
