#!/bin/sh
# Verify an event of Reelhook (Standard Webhooks v1) with openssl, by hand: sh verify.sh < body
# While it runs, others on this machine may see the key among the arguments of openssl.
set -euf

case $WEBHOOK_TIMESTAMP in '' | 0* | *[!0-9]* | ????????????*) exit 1 ;; esac
age=$(($(date +%s) - WEBHOOK_TIMESTAMP))
[ "${age#-}" -le 300 ] || exit 1

key=$(printf %s "${WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
expected=v1,$({ printf %s "$WEBHOOK_ID.$WEBHOOK_TIMESTAMP."; cat; } |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)

# What is compared are hashes, so that the time it takes says nothing about the signature itself.
hashed() { printf %s "$1" | openssl dgst -sha256; }
for each in $WEBHOOK_SIGNATURE; do
    [ "$(hashed "$each")" != "$(hashed "$expected")" ] || exit 0
done
exit 1
