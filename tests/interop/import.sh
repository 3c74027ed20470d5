#!/usr/bin/env bash
# Files imported into a real daemon: what fails is written to a file that, mended, is imported.
#
# Usage: import.sh MXADMD MXADM SUPPORT
set -euo pipefail
export MXADMD=$1
mxadm=$2
# shellcheck source=/dev/null
. "$3/daemon.sh"
: "${dir:?made by daemon.sh}"
export MXADM_URL=ipc://$dir/socket

daemon_configure state 'keys: {rsa2048: {low: 2, high: 4}}'

# Imports and expects an exit code; what is printed goes to $dir/out.
import() { # exit code, argument...
  local expected=$1 code=0

  shift
  "$mxadm" import "$@" >"$dir/out" 2>"$dir/err" || code=$?
  ((code == expected)) || fail "import $*: exit code $code, not $expected: $(cat "$dir/out" "$dir/err")"
}

says() { # file, words
  grep -qF -- "$2" "$1" || fail "'$2' is not in $1: $(cat "$1")"
}

count() { # field of server info
  "$mxadm" server info --json | sed -nE "s/^ *\"$1\": \"([0-9]+)\".*/\1/p"
}

domains_are_imported() {
  printf 'domain,account,localpart\na.example,postmaster,postmaster\nb.example,postmaster,\n' \
    >"$dir/domains.csv"
  import 0 "$dir/domains.csv" --kind domains --timeout 120s
  says "$dir/out" '2 imported, 0 failed'
}

# Three lines can't be: an address that is taken, a domain that is not there, a name that can't be.
accounts_are_imported_but_for_three() {
  {
    echo 'account,address'
    for ((i = 1; i <= 2000; i++)); do
      case $i in
      500) echo "user$i,postmaster@a.example" ;;
      1000) echo "user$i,user$i@c.example" ;;
      1500) echo "\"not, a name\",user$i@a.example" ;;
      *) echo "user$i,user$i@a.example" ;;
      esac
    done
  } >"$dir/accounts.csv"
  import 1 "$dir/accounts.csv" --kind accounts
  says "$dir/out" '1997 imported, 3 failed'
  (($(wc -l <"$dir/accounts.csv.failed") == 4)) || fail "$(cat "$dir/accounts.csv.failed")"
  says "$dir/accounts.csv.failed" 'account,address,reason'
  says "$dir/accounts.csv.failed" 'user500,postmaster@a.example,'
  says "$dir/accounts.csv.failed" 'DOMAIN_NOT_FOUND'
  says "$dir/accounts.csv.failed" '"not, a name",user1500@a.example,'
  if grep -q 'calls\[' "$dir/accounts.csv.failed"; then
    fail "a reason speaks of calls: $(cat "$dir/accounts.csv.failed")"
  fi
}

the_failed_lines_are_mended_and_imported() {
  sed -e 's/postmaster@/user500@/' -e 's/@c\.example/@b.example/' -e 's/"not, a name"/user1500/' \
    "$dir/accounts.csv.failed" >"$dir/mended.csv"
  import 0 "$dir/mended.csv" --kind accounts
  says "$dir/out" '3 imported, 0 failed'
  (($(count accountCount) == 2001)) || fail "$(count accountCount) accounts"
}

# A byte order mark, CRLF, quotes; fields that a Save takes over with the Add, or neither.
further_fields_are_saved_with_the_line_or_neither() {
  printf '\xef\xbb\xbfaccount,address,full_name,quota_message_size\r\n%s\r\n%s\r\n' \
    'ada,ada@a.example,"Ada, ""the first""",1000' 'bob,bob@a.example,Bob,-7' >"$dir/more.csv"
  import 1 "$dir/more.csv" --kind accounts --failed "$dir/bad.csv"
  says "$dir/out" '1 imported, 1 failed'
  "$mxadm" account get ada >"$dir/ada"
  says "$dir/ada" 'Ada, "the first"'
  says "$dir/ada" '1000'
  if "$mxadm" account get bob >/dev/null 2>&1; then
    fail 'an account whose fields were refused is there'
  fi
  says "$dir/bad.csv" 'bob,bob@a.example,Bob,-7,'
  if grep -q $'\r' "$dir/bad.csv"; then
    fail 'a carriage return became part of a value'
  fi
}

json_lines_of_several_kinds_are_imported_in_order() {
  cat >"$dir/lines.json" <<'END'
{"kind": "account", "account": "carol", "address": "carol@b.example", "full_name": "Carol"}
{"kind": "address", "address": "c@b.example", "account": "carol"}
{"kind": "alias", "address": "all@b.example", "members": ["c@b.example", "ada@a.example"], "post_public": true}
{"kind": "alias", "address": "none@b.example", "members": "nobody@b.example"}
{"kind": "fish"}
no JSON
END
  import 1 "$dir/lines.json"
  says "$dir/out" '3 imported, 3 failed'
  says "$dir/lines.json.failed" '"kind":"fish"'
  says "$dir/lines.json.failed" '"line":"no JSON"'
  "$mxadm" alias list --members-of all@b.example >"$dir/members"
  says "$dir/members" 'c@b.example'
  says "$dir/members" 'ada@a.example'
  "$mxadm" address get c@b.example >/dev/null
}

# Killed whenever it is: what was sent is sent again under its request id, and done once.
an_import_survives_a_kill() {
  local before after importer

  before=$(count accountCount)
  {
    echo 'account,address'
    for ((i = 1; i <= 3000; i++)); do
      echo "late$i,late$i@a.example"
    done
  } >"$dir/late.csv"
  "$mxadm" import "$dir/late.csv" --kind accounts --batch 50 >"$dir/out" 2>"$dir/err" &
  importer=$!
  while (($(count accountCount) == before)); do :; done
  daemon_kill
  daemon_start
  wait "$importer" || fail "the import failed: $(cat "$dir/out" "$dir/err" "$dir/late.csv.failed")"
  after=$(count accountCount)
  ((after == before + 3000)) || fail "$after accounts, not $((before + 3000))"
}

wrong_usage_sends_nothing() {
  import 2 "$dir/accounts.csv"
  says "$dir/err" '--kind is needed'
  printf 'account,adress\n' >"$dir/slip.csv"
  import 2 "$dir/slip.csv" --kind accounts
  says "$dir/err" "column 'adress' is no field of accounts"
  import 2 "$dir/accounts.csv" --kind accounts --failed "$dir/accounts.csv"
  import 2 "$dir/accounts.csv" --kind fish
}

a_server_that_is_away_leaves_the_file_alone() {
  daemon_stop || fail "the daemon ended with $?"
  rm -f "$dir/mended.csv.failed"
  import 3 "$dir/mended.csv" --kind accounts
  [[ ! -e $dir/mended.csv.failed ]] || fail 'lines failed'
}

daemon_start
domains_are_imported
accounts_are_imported_but_for_three
the_failed_lines_are_mended_and_imported
further_fields_are_saved_with_the_line_or_neither
json_lines_of_several_kinds_are_imported_in_order
an_import_survives_a_kill
wrong_usage_sends_nothing
a_server_that_is_away_leaves_the_file_alone
echo 'everything was imported'
