#!/bin/sh
# The shared library exports what its header declares and the generated code, nothing else.
# usage: test_exports.sh LIBRARY
set -eu
symbols=$(nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//')
for wanted in mxadm_call mxadm_watch_open mxadm_watch_close mxadm__v1__domain_add_request__init mxadm__v1__admin__descriptor \
    grpc__health__v1__health__descriptor google__protobuf__duration__descriptor; do
    echo "$symbols" | grep -qx "$wanted" || { echo "$wanted is not exported"; exit 1; }
done
# A sanitizer adds symbols of its own.
others=$(echo "$symbols" |
    grep -vE '^(mxadm_[a-z]|mxadm__v1__|grpc__health__v1__|google__protobuf__|__odr_asan|_init$|_fini$)' ||
    true)
[ -z "$others" ] || { echo "exported by mistake: $others"; exit 1; }
if echo "$symbols" | grep mxadm__internal; then
    echo "the daemon's own records are exported"
    exit 1
fi
