#!/usr/bin/env bash
# The DNS records that the daemon says to publish, published: by nsd, on loopback. What dig and
# opendkim-testkey then find must be the public half of the private keys, as openssl derives it from
# what the daemon exports and from the files of its key directory.
#
# Usage: keys.sh MXADMD PROTO SUPPORT
set -euo pipefail
export MXADMD=$1 PROTO=$2
# shellcheck source=/dev/null
. "$3/daemon.sh"
# shellcheck source=/dev/null
. "$3/call.sh"
: "${dir:?made by daemon.sh}"
umask 077 # private keys
nsd_pid=
nsd_port=
free_ports=20000-32000 # where one is looked for, below those that the kernel gives to clients
port_tries=50

cleanup() {
  if [[ -n $nsd_pid ]]; then
    kill -TERM "$nsd_pid" 2>/dev/null || true # it ends its own children
  fi
  daemon_cleanup
}
trap cleanup EXIT

# ---- the configuration

cat >"$dir/mxadmd.yaml" <<END
urls: ["ipc://$dir/socket"]
state_directory: $dir/state
host_name: mail.host.example
keys: {directory: $dir/keys, rsa2048: {low: 2, high: 4}}
END

call_declare DomainAdd DomainRecords DKIMAdd DKIMList DKIMKeyExport
domains=(keys.example schlüssel.example)

add_domains_and_selectors() {
  local domain

  for domain in "${domains[@]}"; do
    call DomainAdd "domain: \"$domain\" account: \"of-$domain\" localpart: \"postmaster\"" \
      'timeout { seconds: 60 }'
    expect_ok
  done
  for algorithm in RSA3072 RSA4096 ED25519; do
    call DKIMAdd "domain: \"keys.example\" selector: \"own-${algorithm,,}\"
      algorithm: ALGORITHM_$algorithm enable: true" "timeout { seconds: $call_seconds }"
    expect_ok
  done
}

# ---- the zone

# Both domains and the mail host are below "example", which is served whole.
write_zone() {
  local domain

  cat <<END
\$ORIGIN example.
\$TTL 300
@ SOA ns.example. hostmaster.example. 1 3600 600 86400 300
@ NS ns.example.
ns.example. A 127.0.0.1
mail.host.example. A 192.0.2.1
END
  for domain in "${domains[@]}"; do
    call DomainRecords "domain: \"$domain\""
    expect_ok
    cp "$dir/answer.txt" "$dir/records.$domain"
    answer_field zone
  done
}

write_nsd_conf() { # port
  cat <<END
server:
  ip-address: 127.0.0.1@$1
  server-count: 1
  username: ""
  chroot: ""
  database: ""
  zonesdir: "$dir"
  pidfile: "$dir/nsd.pid"
  zonelistfile: "$dir/nsd.zones"
  xfrdfile: "$dir/nsd.xfrd"
  xfrdir: "$dir"
  verbosity: 1
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: "$dir/zone"
END
}

# Waits until nsd says that it has started. Fails if it ends before.
nsd_start() { # port
  local line started=false

  write_nsd_conf "$1" >"$dir/nsd.conf"
  rm -f "$dir/nsd.fifo"
  mkfifo "$dir/nsd.fifo"
  nsd -d -c "$dir/nsd.conf" >"$dir/nsd.fifo" 2>&1 &
  nsd_pid=$!
  exec {nsd_log}<"$dir/nsd.fifo"
  while read -r line <&"$nsd_log"; do
    printf '%s\n' "$line" >>"$dir/nsd.log"
    if [[ $line == *'nsd started'* ]]; then
      started=true
      break
    fi
  done
  if $started; then
    cat <&"$nsd_log" >>"$dir/nsd.log" &
  else
    wait "$nsd_pid" || true
    nsd_pid=
  fi
  exec {nsd_log}<&-
  $started
}

serve_zone() {
  local try

  write_zone >"$dir/zone"
  nsd-checkzone example "$dir/zone" >"$dir/checkzone.log" 2>&1 ||
    fail "nsd refuses the zone: $(cat "$dir/checkzone.log")"
  for ((try = 0; try < port_tries; try++)); do
    nsd_port=$(shuf -i "$free_ports" -n 1)
    if nsd_start "$nsd_port"; then
      return
    fi
  done
  fail "nsd does not start: $(cat "$dir/nsd.log")"
}

# ---- what must agree

# The text of a TXT record, its strings joined; each has at most 255 bytes.
published() { # name
  local strings text='' string

  strings=$(dig +short +tcp -p "$nsd_port" @127.0.0.1 "$1" TXT)
  [[ -n $strings && $strings != *$'\n'* ]] || fail "not one TXT record at $1: $strings"
  while IFS= read -r string; do
    ((${#string} <= 255)) || fail "a string of ${#string} bytes at $1"
    text+=$string
  done < <(sed 's/^"//; s/"$//; s/" "/\n/g' <<<"$strings")
  printf '%s' "$text"
}

# The data of a record in the answer to DomainRecords.
recorded() { # domain, record name
  awk -v name="$2" '
    $1 == "name:" { here = ($2 == "\"" name "\"") }
    here && $1 == "data:" { sub(/^ *data: "/, ""); sub(/"$/, ""); print }
  ' "$dir/records.$1"
}

# A key's public half as a DKIM record has it: RSA as SubjectPublicKeyInfo, Ed25519 as 32 bytes.
public_text() { # algorithm, file of a private key
  if [[ $1 == ALGORITHM_ED25519 ]]; then
    openssl pkey -in "$2" -pubout -outform DER | tail -c 32 | base64 -w 0
  else
    openssl pkey -in "$2" -pubout -outform DER | base64 -w 0
  fi
}

# A public key file from the published text.
publish_key() { # algorithm, text of p=
  {
    if [[ $1 == ALGORITHM_ED25519 ]]; then
      printf '\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00' # RFC 8410: SubjectPublicKeyInfo
    fi
    base64 -d <<<"$2"
  } | openssl pkey -pubin -inform DER -out "$dir/published.pem"
}

a_signature_verifies() { # algorithm, file of the private key
  echo 'a message' >"$dir/message"
  if [[ $1 == ALGORITHM_ED25519 ]]; then
    openssl pkeyutl -sign -rawin -inkey "$2" -in "$dir/message" -out "$dir/signature"
    openssl pkeyutl -verify -rawin -pubin -inkey "$dir/published.pem" -in "$dir/message" \
      -sigfile "$dir/signature" >"$dir/verify.log"
  else
    openssl dgst -sha256 -sign "$2" -out "$dir/signature" "$dir/message"
    openssl dgst -sha256 -verify "$dir/published.pem" -signature "$dir/signature" \
      "$dir/message" >"$dir/verify.log"
  fi
}

has_size() { # algorithm, file
  local size=${1#ALGORITHM_RSA}

  [[ $1 == ALGORITHM_ED25519 ]] || openssl pkey -in "$2" -noout -text | grep -q "($size bit"
}

check_selector() { # domain, its ASCII name, selector, algorithm, key file
  local name=$3._domainkey.$2 text key

  call DKIMKeyExport "domain: \"$1\" selector: \"$3\""
  expect_ok
  answer_field private_key >"$dir/exported.pem"
  has_size "$4" "$dir/exported.pem" || fail "the key of $name is not of $4"

  text=$(published "$name")
  [[ $text == "$(recorded "$1" "$name")" ]] || fail "dig finds another text at $name: $text"
  key=${text#*;p=}
  [[ $text == 'v=DKIM1;'*';p='* && $key == "$(public_text "$4" "$dir/exported.pem")" ]] ||
    fail "published at $name is not the exported key: $text"
  [[ $key == "$(public_text "$4" "$dir/keys/$5")" ]] || fail "file $5 has another key"

  publish_key "$4" "$key"
  a_signature_verifies "$4" "$dir/exported.pem" || fail "no signature verifies at $name"
  if [[ $4 != ALGORITHM_ED25519 ]]; then # which opendkim 2.11 does not know
    opendkim_agrees "$2" "$3" "$dir/keys/$5"
  fi
}

# opendkim resolves with libunbound, which asks our nsd for all of "example".
write_opendkim_conf() {
  cat >"$dir/unbound.conf" <<END
server:
  do-not-query-localhost: no
  module-config: "iterator"
stub-zone:
  name: "example"
  stub-addr: 127.0.0.1@$nsd_port
END
  echo "ResolverConfiguration $dir/unbound.conf" >"$dir/opendkim.conf"
}

testkey() { # domain, selector, file
  opendkim-testkey -x "$dir/opendkim.conf" -d "$1" -s "$2" -k "$3" &>"$dir/testkey.log"
}

opendkim_agrees() { # ASCII domain, selector, file
  testkey "$1" "$2" "$3" || fail "opendkim-testkey $1 $2: $(cat "$dir/testkey.log")"
  # With another key it does not agree, so that its word means something.
  if testkey "$1" "$2" "$dir/other.pem"; then
    fail "opendkim-testkey accepts any key for $2._domainkey.$1"
  fi
}

# "selector algorithm file" of each.
list_selectors() { # domain
  call DKIMList "domain: \"$1\""
  expect_ok
  awk '
    function value(text) { gsub(/"/, "", text); return text }
    $1 == "ascii_name:" { name = value($2) }
    $1 == "algorithm:" { algorithm = $2 }
    $1 == "key_file:" { print name, algorithm, value($2) }
  ' "$dir/answer.txt"
}

check_all() {
  local count=0 domain ascii selector algorithm file

  for domain in "${domains[@]}"; do
    list_selectors "$domain" >"$dir/selectors"
    while read -r selector algorithm file; do
      ascii=${file#*"$selector"._domainkey.}
      check_selector "$domain" "${ascii%.*.*.privatekey.pkcs8.pem}" "$selector" "$algorithm" "$file"
      echo "$domain $selector $algorithm agrees"
      count=$((count + 1))
    done <"$dir/selectors"
  done
  ((count == 7)) || fail "$count selectors, not 7"
}

call_seconds=120 # an RSA key of 4,096 bits takes its time
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$dir/other.pem" 2>/dev/null
daemon_start
url=$(daemon_url ipc)
export url
add_domains_and_selectors
serve_zone
write_opendkim_conf
check_all
kill -TERM "$nsd_pid"
wait "$nsd_pid" || true
nsd_pid=
daemon_stop || fail "the daemon ended with $?"
echo 'all keys are as published'
