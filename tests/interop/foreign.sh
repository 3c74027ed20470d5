#!/usr/bin/env bash
# A foreign client: calls the daemon with protoc and nngcat alone, over ipc and tcp.
#
# Usage: foreign.sh MXADMD PROTO SUPPORT
set -euo pipefail
export MXADMD=$1 PROTO=$2
# shellcheck source=/dev/null
. "$3/daemon.sh"
# shellcheck source=/dev/null
. "$3/call.sh"
: "${dir:?made by daemon.sh}"

cat >"$dir/mxadmd.yaml" <<END
urls: ["ipc://$dir/socket", "tcp://127.0.0.1:0"]
state_directory: $dir/state
host_name: mail.example.org
keys: {rsa2048: {low: 2, high: 4}}
access: {loopback_role: administrator, loopback_key_reader: false}
END
call_declare DomainAdd DomainGet DomainRecords AccountAdd AccountGet AddressAdd AddressLookup \
  DKIMKeyExport ServerInfo ConfigRollback
daemon_start

health_is_serving() {
  call Check 'service: ""'
  expect_ok
  expect 'status: SERVING'
  call Check 'service: "mxadm.v1.Admin"'
  expect 'status: SERVING'
}

a_domain_an_account_and_an_address_are_added_and_found() { # domain, account
  call DomainAdd "domain: \"$1\" account: \"$2\" localpart: \"Owner\""
  expect_ok
  expect "name: \"$1\""
  expect "canonical_address: \"owner@$1\""

  call AccountAdd "account: \"$2.second\" address: \"second@$1\""
  expect_ok
  call AddressAdd "address: \"third@$1\" account: \"$2.second\""
  expect_ok
  call AddressLookup "address: \"Third+tag@$1\""
  expect_ok
  expect 'via: VIA_ADDRESS'
  expect "account: \"$2.second\""
  expect "canonical_address: \"third@$1\""

  call DomainRecords "domain: \"$1\""
  expect_ok
  expect 'type: "MX"'
  [[ $(answer_field zone) == *'_domainkey.xn--'*'v=DKIM1;'* ]] || fail 'no DKIM record in the zone'
}

a_refusal_names_field_value_and_obstacle() { # domain, account
  call AccountAdd 'account: "not a name" address: "a@b@c"'
  expect 'code: INVALID_ARGUMENT'
  expect 'field: "account"'
  expect 'field: "address"'

  call DomainAdd "domain: \"$1\" account: \"somebody\" localpart: \"x\""
  expect 'code: ALREADY_EXISTS'
  expect 'reason: "DOMAIN_EXISTS"'
  expect 'domain: "mxadm"'
  expect 'resource_type: "domain"'
  expect "resource_name: \"$1\""

  call AddressAdd "address: \"second@$1\" account: \"$2\""
  expect 'reason: "ADDRESS_IN_USE"'
  call AddressLookup "address: \"nobody@$1\""
  expect 'code: NOT_FOUND'
  call ConfigRollback 'revision: 1000000'
  expect 'code: OUT_OF_RANGE'
  expect 'reason: "REVISION_UNKNOWN"'
}

the_same_request_id_gives_identical_bytes() { # domain, account
  local id="request_id: \"0123456789abcde$3\""

  call AccountAdd "account: \"$2.replayed\" address: \"replayed@$1\"" "$id"
  expect_ok
  cp "$dir/answer.bin" "$dir/first.bin"
  call_send
  cmp "$dir/first.bin" "$dir/answer.bin" || fail 'a replay got another answer'
  cp "$dir/answer.txt" "$dir/newest.txt"

  call AccountAdd "account: \"$2.other\" address: \"other@$1\"" "$id"
  expect 'code: ALREADY_EXISTS'
  expect 'reason: "REQUEST_ID_REUSED"'
  expect "$(grep -a '^revision' "$dir/newest.txt")"
  call AccountGet "account: \"$2.other\""
  expect 'reason: "ACCOUNT_NOT_FOUND"'
}

validate_only_tells_and_changes_nothing() { # domain, account
  call AccountAdd "account: \"$2.planned\" address: \"planned@$1\"" 'options { validate_only: true }'
  expect_ok
  expect 'action: CHANGE_ACTION_ADD'
  expect "name: \"$2.planned\""
  call AccountGet "account: \"$2.planned\""
  expect 'code: NOT_FOUND'
}

what_is_no_request_is_refused_in_words() {
  printf '\377\377\377' >"$dir/request.bin"
  call_send
  call_read Check
  expect 'code: INVALID_ARGUMENT'
  printf 'method: "mxadm.v1.Admin/NoSuchThing"' | call_protoc --encode=calls.CheckCall \
    >"$dir/request.bin"
  call_send
  call_read Check
  expect 'code: UNIMPLEMENTED'
}

number=0
for scheme in ipc tcp; do
  url=$(daemon_url "$scheme")
  [[ -n $url ]] || fail "the daemon does not say where it listens by $scheme"
  number=$((number + 1))
  domain=bücher$number.example
  account=owner$number
  health_is_serving
  a_domain_an_account_and_an_address_are_added_and_found "$domain" "$account"
  a_refusal_names_field_value_and_obstacle "$domain" "$account"
  the_same_request_id_gives_identical_bytes "$domain" "$account" "$number"
  validate_only_tells_and_changes_nothing "$domain" "$account"
  what_is_no_request_is_refused_in_words
done

# The socket's user is root or the daemon's own and may export keys; loopback may not.
call DKIMKeyExport 'domain: "bücher1.example" selector: "unknown"'
expect 'code: PERMISSION_DENIED'
url=$(daemon_url ipc)
call DKIMKeyExport 'domain: "bücher1.example" selector: "unknown"'
expect 'code: NOT_FOUND'

# An answer outlives the daemon.
call AccountAdd 'account: "kept" address: "kept@bücher1.example"' 'request_id: "kept-over-a-kill"'
expect_ok
cp "$dir/answer.bin" "$dir/first.bin"
cp "$dir/request.bin" "$dir/kept.bin"
daemon_kill
daemon_start
cp "$dir/kept.bin" "$dir/request.bin"
call_send
cmp "$dir/first.bin" "$dir/answer.bin" || fail 'a replay after a restart got another answer'
daemon_stop || fail "the daemon ended with $?"
echo 'all sentences hold'
