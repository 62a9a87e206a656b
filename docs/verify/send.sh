#!/bin/sh
# Sign a body as Reelhook does, and post it with curl, to try out a receiver: sh send.sh URL < body
set -eu

id=evt_$(openssl rand -hex 12)
timestamp=$(date +%s)
body=$(mktemp)
trap 'rm -f "$body"' EXIT
cat > "$body"

key=$(printf %s "${WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
signature=v1,$({ printf %s "$id.$timestamp."; cat "$body"; } |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)

curl --silent --show-error --output /dev/null --write-out '%{http_code}\n' --data-binary "@$body" \
    -H 'Content-Type: application/json' -H "webhook-id: $id" -H "webhook-timestamp: $timestamp" \
    -H "webhook-signature: $signature" "$1"
