#!/usr/bin/env bash
# Installs into a fresh prefix, moves it, and builds the example outside the tree by CMake and by
# pkg-config; both run, and find no server.
# usage: test_package.sh BUILD_DIRECTORY EXAMPLES_DIRECTORY CMAKE C_COMPILER CXX_COMPILER HEADER_TEST
set -eu
build=$1 examples=$2 cmake=$3 cc=$4 cxx=$5 header=$6
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build/client-lib" --prefix "$work/first" >"$work/log" 2>&1 ||
    { cat "$work/log"; exit 1; }
mv "$work/first" "$work/prefix"
lib=$(dirname "$(find "$work/prefix" -name libmxadm.so)")
export PKG_CONFIG_PATH="$lib/pkgconfig"
export LD_LIBRARY_PATH="$lib"

runs() {
    code=0
    "$1" "ipc://$work/nobody" example.org alice alice 2>"$work/error" || code=$?
    if [ "$code" != 3 ] || ! grep -q "can't connect" "$work/error"; then
        echo "$1: exit code $code"
        cat "$work/error"
        exit 1
    fi
}

# As make does it, with pkg-config.
cp -r "$examples" "$work/make"
make -s -C "$work/make" CC="$cc"
runs "$work/make/add_domain"

# As CMake does it, with find_package.
cp -r "$examples" "$work/cmake"
"$cmake" -S "$work/cmake" -B "$work/cmake/build" -DCMAKE_PREFIX_PATH="$work/prefix" \
    -DCMAKE_C_COMPILER="$cc" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$cmake" --build "$work/cmake/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
runs "$work/cmake/build/add_domain"

# The installed headers alone, as strict C99 and as C++.
read -ra flags <<<"$(pkg-config --cflags mxadm) -Wall -Wextra -pedantic -Werror"
read -ra links <<<"$(pkg-config --libs mxadm)"
read -ra protobuf <<<"$(pkg-config --static --libs libprotobuf-c)"
"$cc" -std=c99 "${flags[@]}" "$header" "${links[@]}" -o "$work/header_c"
"$work/header_c"
"$cxx" -std=c++11 -x c++ "${flags[@]}" "$header" "${links[@]}" -o "$work/header_cxx"
"$work/header_cxx"

# The static library, linked as its package says.
"$cc" -std=c99 "${flags[@]}" "$header" "$lib/libmxadm.a" "${protobuf[@]}" \
    -lnng -pthread -o "$work/header_static"
"$work/header_static"

# The command line finds its library, and the contract is there, without the daemon's own records.
unset LD_LIBRARY_PATH
"$work/prefix/bin/mxadm" --version | grep -q '^mxadm [0-9]'
protoc --proto_path="$work/prefix/share/mxadm/proto" --descriptor_set_out="$work/set" \
    mxadm/v1/admin.proto grpc/health/v1/health.proto
if find "$work/prefix" | grep internal; then
    echo "the daemon's own records are installed"
    exit 1
fi
