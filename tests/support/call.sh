# Calls the daemon with nothing of ours but the .proto files: protoc encodes and decodes,
# nngcat carries. Sourced after daemon.sh, with PROTO the directory of the .proto files.
#
# In protobuf's wire format an embedded message is a field of bytes. So a proto of our own
# that declares the envelope's `message` as the operation's own request (or response) lets
# protoc write (and read) a whole call at once, as text:
#
#   call DomainAdd 'domain: "example.org" account: "alice" localpart: "alice"'
#   expect 'code: OK'
#
# The call's bytes are in $dir/request.bin and $dir/answer.bin, the answer's text in
# $dir/answer.txt.
# shellcheck shell=bash

: "${PROTO:?the directory of the .proto files}"
: "${dir:?made by daemon.sh}"
url=
call_seconds=60 # the longest that an answer may take

# Envelopes for all operations that a test calls.
call_declare() { # operation...
  local operation

  {
    echo 'syntax = "proto3";'
    echo 'package calls;'
    echo 'import "google/protobuf/duration.proto";'
    echo 'import "grpc/health/v1/health.proto";'
    echo 'import "mxadm/v1/admin.proto";'
    echo 'import "mxadm/v1/rpc.proto";'
    for operation in "$@"; do
      call_envelope "$operation" "mxadm.v1.${operation}Request" "mxadm.v1.${operation}Response"
    done
    call_envelope Check grpc.health.v1.HealthCheckRequest grpc.health.v1.HealthCheckResponse
  } >"$dir/calls.proto"
}

call_envelope() { # name, request type, response type
  cat <<END
message $1Call {
  string method = 1;
  bytes request_id = 2;
  google.protobuf.Duration timeout = 3;
  repeated mxadm.v1.Metadata metadata = 4;
  mxadm.v1.CallOptions options = 5;
  $2 message = 6;
}
message $1Answer {
  mxadm.v1.Status status = 1;
  uint64 revision = 2;
  $3 message = 3;
  repeated mxadm.v1.PlannedChange changes = 4;
}
END
}

call_protoc() {
  protoc -I"$dir" -I"$PROTO" -I/usr/include "$@" "$dir/calls.proto"
}

# Sends $dir/request.bin, as it is.
call_send() {
  nngcat --req --dial "$url" --raw --recv-timeout "$call_seconds" \
    --file "$dir/request.bin" >"$dir/answer.bin"
}

call() { # operation, request as text, more of the envelope as text
  local method=mxadm.v1.Admin/$1

  if [[ $1 == Check ]]; then
    method=grpc.health.v1.Health/Check
  fi
  printf 'method: "%s" message { %s } %s' "$method" "${2-}" "${3-}" |
    call_protoc --encode="calls.$1Call" >"$dir/request.bin"
  call_send
  call_read "$1"
}

# The answer as text. protoc writes bytes beyond ASCII as "\303\274": they become UTF-8 again, all
# other escapes stay.
call_read() { # operation
  local text

  text=$(call_protoc --decode="calls.$1Answer" <"$dir/answer.bin")
  printf '%b\n' "$(sed -E 's/\\/\\\\/g; s/\\\\([23][0-7]{2})/\\0\1/g' <<<"$text")" \
    >"$dir/answer.txt"
}

# The last answer was not a refusal.
expect_ok() {
  if grep -aq '^status {' "$dir/answer.txt"; then
    fail "refused: $(cat "$dir/answer.txt")"
  fi
}

expect() { # line of the answer's text, without its indentation
  sed 's/^ *//' "$dir/answer.txt" | grep -axF -e "$1" >/dev/null || fail "no line '$1' in the answer:
$(cat "$dir/answer.txt")"
}

# The first string field of the last answer with this name, its escapes undone: answer_field zone
answer_field() { # name
  local text

  text=$(LC_ALL=C sed -nE "/^ *$1: \"/{s/^ *$1: \"(.*)\"\$/\1/p;q}" "$dir/answer.txt")
  printf '%b' "$(LC_ALL=C sed -E 's/\\"/"/g; s/\\([0-7]{3})/\\0\1/g' <<<"$text")"
}
