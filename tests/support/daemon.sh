# A real mxadmd for a shell test, in a fresh directory of its own: $dir. Sourced, with
# MXADMD the program's path. What the daemon logs goes to $dir/log.
#
# The settings are $dir/mxadmd.yaml, written by the test before daemon_start: daemon_configure.
# shellcheck shell=bash

: "${MXADMD:?the path of mxadmd}"
dir=$(mktemp -d "${TMPDIR:-/tmp}/mxadm-test-XXXXXX")
daemon_pid=
daemon_log_pid=

fail() { # words...
  printf 'FAILED: %s\n' "$*" >&2
  if [[ -s $dir/log ]]; then
    printf -- '---- log of the daemon:\n' >&2
    cat "$dir/log" >&2
  fi
  exit 1
}

daemon_cleanup() {
  if [[ -n $daemon_pid ]]; then
    kill -KILL "$daemon_pid" 2>/dev/null || true
  fi
  rm -rf "$dir"
}
trap daemon_cleanup EXIT

# The settings that most tests do with: a socket and a state directory below $dir.
daemon_configure() { # state directory, line...
  printf '%s\n' "urls: [\"ipc://$dir/socket\"]" "state_directory: $dir/$1" \
    'host_name: mail.host.example' "${@:2}" >"$dir/mxadmd.yaml"
}

# Waits for the log line that says "ready"; the rest of the log is collected beside the test.
daemon_start() {
  local line ready=false

  rm -f "$dir/log.fifo"
  mkfifo "$dir/log.fifo"
  : >"$dir/log"
  "$MXADMD" --config "$dir/mxadmd.yaml" 2>"$dir/log.fifo" &
  daemon_pid=$!
  exec {log_fd}<"$dir/log.fifo"
  while read -r line <&"$log_fd"; do
    printf '%s\n' "$line" >>"$dir/log"
    if [[ $line == *' info ready '* ]]; then
      ready=true
      break
    fi
  done
  $ready || fail 'the daemon did not start'
  cat <&"$log_fd" >>"$dir/log" &
  daemon_log_pid=$!
  exec {log_fd}<&-
}

# The daemon's answer to SIGTERM is its exit code.
daemon_stop() {
  local code=0

  kill -TERM "$daemon_pid"
  wait "$daemon_pid" || code=$?
  wait "$daemon_log_pid" || true
  daemon_pid=
  return "$code"
}

daemon_kill() {
  kill -KILL "$daemon_pid"
  wait "$daemon_pid" 2>/dev/null || true # the shell would tell of the kill
  wait "$daemon_log_pid" || true
  daemon_pid=
}

# The url of a kind that the daemon says it listens on: daemon_url tcp
daemon_url() { # scheme
  sed -nE "s|^.* info listening url=\"($1://[^\"]*)\".*\$|\1|p" "$dir/log"
}
