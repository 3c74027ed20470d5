#!/usr/bin/env bash
# The configuration of a real daemon as a document: exported, planned, applied to an empty daemon.
#
# Usage: config.sh MXADMD MXADM SUPPORT
set -euo pipefail
export MXADMD=$1
mxadm=$2
# shellcheck source=/dev/null
. "$3/daemon.sh"
: "${dir:?made by daemon.sh}"
export MXADM_URL=ipc://$dir/socket

configure() { # state directory
  daemon_configure "$1" 'keys: {rsa2048: {low: 2, high: 4}}'
}

# Runs a command of config and expects an exit code; what is printed goes to $dir/out.
config() { # exit code, argument...
  local expected=$1 code=0

  shift
  "$mxadm" config "$@" >"$dir/out" 2>"$dir/err" || code=$?
  ((code == expected)) || fail "config $*: exit code $code, not $expected: $(cat "$dir/out" "$dir/err")"
}

says() { # file, words
  grep -qF -- "$2" "$1" || fail "'$2' is not in $1: $(cat "$1")"
}

revision() {
  "$mxadm" server info --json | sed -nE 's/^ *"revision": "([0-9]+)".*/\1/p'
}

an_unchanged_document_makes_no_revision() {
  local before

  "$mxadm" domain add a.example --account alice --localpart alice --timeout 120s >/dev/null
  config 0 export --output "$dir/one.yaml"
  before=$(revision)
  config 0 plan "$dir/one.yaml"
  says "$dir/out" '0 to add, 0 to change, 0 to remove'
  config 0 apply "$dir/one.yaml" --prune
  (($(revision) == before)) || fail 'an unchanged document made a revision'
}

a_changed_document_is_planned_and_applied() {
  sed -E 's/^( *)(subject_pass_period: .*)$/\1\2\n\1full_name: Alice A./' "$dir/one.yaml" \
    >"$dir/two.yaml"
  config 0 plan "$dir/two.yaml"
  says "$dir/out" '~ account alice'
  says "$dir/out" '0 to add, 1 to change, 0 to remove'
  config 0 apply - <"$dir/two.yaml"
  says "$dir/out" '0 added, 1 changed, 0 removed'
  config 0 diff "$(($(revision) - 1))"
  says "$dir/out" 'full-name: (none) -> "Alice A."'
}

problems_have_line_and_column() {
  sed 's/^  a\.example:/  "a b":/' "$dir/one.yaml" >"$dir/bad.yaml"
  config 1 plan "$dir/bad.yaml"
  grep -qE "^$dir/bad.yaml:[0-9]+:[0-9]+: " "$dir/err" || fail "$(cat "$dir/err")"
}

a_rollback_is_a_revision() {
  local before

  before=$(revision)
  config 0 rollback "$((before - 1))"
  says "$dir/out" '0 added, 1 updated, 0 removed'
  (($(revision) == before + 1)) || fail 'a rollback made no revision'
}

# More than a message takes.
a_large_document_is_staged() {
  awk '{ print } /^accounts:/ { for (i = 0; i < 40000; i++)
    printf "  bulk%d:\n    domain: a.example\n    description: one of very many accounts in a document that fits no message\n", i }' \
    "$dir/one.yaml" >"$dir/large.yaml"
  (($(stat -c %s "$dir/large.yaml") > 4194304)) || fail 'the document is not large'
  config 0 apply "$dir/large.yaml"
  says "$dir/out" '40000 added'
  config 0 plan "$dir/large.yaml"
  says "$dir/out" '0 to add, 0 to change'
}

secrets_travel_sealed_to_an_empty_daemon() {
  echo 'correct horse battery' >"$dir/passphrase"
  config 0 export --passphrase-file "$dir/passphrase" --output "$dir/sealed.yaml"
  [[ $(stat -c %a "$dir/sealed.yaml") == 600 ]] || fail 'others may read the secrets'
  config 0 export --output "$dir/before.yaml"
  daemon_stop || fail "the daemon ended with $?"
  configure other
  daemon_start
  config 0 apply "$dir/sealed.yaml" --passphrase-file "$dir/passphrase"
  config 0 export --output "$dir/after.yaml"
  diff <(sed '/^#/d' "$dir/before.yaml") <(sed '/^#/d' "$dir/after.yaml") ||
    fail 'the configuration is not the same'
}

configure state
daemon_start
an_unchanged_document_makes_no_revision
a_changed_document_is_planned_and_applied
problems_have_line_and_column
a_rollback_is_a_revision
a_large_document_is_staged
secrets_travel_sealed_to_an_empty_daemon
echo 'all documents are as they should be'
