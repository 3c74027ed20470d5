#!/usr/bin/env bash
# A daemon started on a seeded database: what the seed holds is there, and changes go on from it.
#
# Usage: seed.sh MXADMD MXADM SUPPORT BENCH_SEED
set -euo pipefail
export MXADMD=$1
mxadm=$2
# shellcheck source=/dev/null
. "$3/daemon.sh"
: "${dir:?made by daemon.sh}"
export MXADM_URL=ipc://$dir/socket

daemon_configure state

# Two blocks and a half: the last one is not full.
read -r account address < <("$4" "$dir/state" 2500 --check) || fail 'not seeded'
daemon_start

# What is left of an account when name, domain, revision and times are taken away.
shape() { # account
  "$mxadm" account get "$1" --json | grep -vE '"(name|domain|revision|createTime|updateTime)":'
}

[[ $("$mxadm" address lookup "$address" --json) == *"\"$account\""* ]] ||
  fail "$address does not lead to $account"
"$mxadm" account add new "new@${address#*@}" >"$dir/out" || fail 'an account can not be added'
[[ $("$mxadm" server info --json) == *'"revision": "4"'* ]] || fail 'three blocks are not three revisions'
[[ $(shape "$account") == "$(shape new)" ]] || fail "not as the daemon makes it: $(shape "$account")"
daemon_stop
