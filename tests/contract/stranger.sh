#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# stranger.sh CMAKE BUILD CC CXX FLAGS DAEMON: somebody who has nothing but the installed SDK, moved from where it was
# installed, copies the examples, builds one with plain cc and pkg-config, all with CMake, and checks them.
set -eu
headers=$(cd "$(dirname "$0")/../abi" && pwd)/headers.sh
cmake=$1 build=$2 cc=$3 cxx=$4 flags=$5 daemon=$6
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

DESTDIR=$work/stage "$cmake" --install "$build" --prefix /opt/first --component sdk >"$work/log" || { cat "$work/log"; exit 1; }
mv "$work/stage/opt/first" "$work/moved"
cp -r "$work/moved/share/bytefreezer-receiver-sdk/examples" "$work/mine"
pc=$(find "$work/moved" -name bytefreezer-receiver-sdk.pc)
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
check=$work/moved/bin/bfr-check-plugin
mkdir "$work/data"

echo "== installed headers, the test kit's too"
"$headers" "$work/moved/include" "$cc" c c99
"$headers" "$work/moved/include" "$cxx" c++ c++17

echo "== plain cc and pkg-config"
ldflags=$(pkg-config --variable=plugin_ldflags bytefreezer-receiver-sdk)
case $flags in *-fsanitize*) ldflags=$(echo "$ldflags" | sed 's/-Wl,-z,defs//') ;; esac
cd "$work/mine/blocking-sink"
# Word splitting is meant: these are lists of flags.
# shellcheck disable=SC2046,SC2086
"$cc" $flags -fPIC -Wall -Wextra -Werror $(pkg-config --cflags bytefreezer-receiver-sdk) -o append.so append.c \
    $ldflags $(pkg-config --libs bytefreezer-receiver-sdk)
"$check" append.so "directory=$work/data"
cat "$work"/data/acme+checks.gz | gzip -t # members one after the other are a gzip file again

echo "== CMake package"
for example in "$work"/mine/*/; do
    cd "$example"
    CC=$cc CXX=$cxx "$cmake" -G Ninja -S . -B build -DCMAKE_PREFIX_PATH="$work/moved" \
        -DCMAKE_C_FLAGS="$flags -Wall -Wextra -Werror" -DCMAKE_CXX_FLAGS="$flags -Wall -Wextra -Werror"
    "$cmake" --build build
    (cd build && ctest --output-on-failure)
    DESTDIR=$work/target "$cmake" --install build --prefix /usr
done
for name in append slow manifest; do
    find "$work/target/usr" -path "*/bytefreezer-receiver/plugins/$name.so" | grep -q . ||
        { echo "cmake --install did not install $name.so" >&2; exit 1; }
done

echo "== the daemon finds them by plugin_dir"
plugins=$(dirname "$(find "$work/target/usr" -name append.so)")
cat >"$work/config.yaml" <<END
plugin_dir: $plugins
ack: sink
pipeline:
  - {plugin: append, directory: data, workers: 8}
  - {plugin: slow, latency_max: 10ms}
  - {plugin: manifest, file: data/manifest.txt}
END
"$daemon" check --config "$work/config.yaml"
for name in append slow manifest; do
    "$daemon" plugins check "$plugins/$name.so"
    "$daemon" plugins info $name --plugin-dir "$plugins"
done
