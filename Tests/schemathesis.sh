#!/bin/bash
# Holds the HTTP service against its own description: schemathesis makes requests from /openapi.json, right ones and wrong
# ones, and reports every undocumented status, every 500 and every answer that does not fit its schema. Starts a server with
# a home of its own on a free port, and stops it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source Config/parts-directory.sh

binary=${KELTER:-$PWD/.build/debug/kelter}
work=$(mktemp -d)
# PostgreSQL runs as an unprivileged user when we are root.
chmod 755 "$work"
export KELTER_HOME=$work/home KELTER_PARTS=$parts RAG_INTERNAL_KEYS=schemathesis-internal-key AI_CORE_RATE_LIMIT_QUOTA=off
server=
stop() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    wait 2>/dev/null || true
    "$binary" down >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap stop EXIT

"$binary" up >/dev/null
"$binary" ingest Samples >/dev/null
"$binary" serve --port 0 --json --log-level error >"$work/address" 2>"$work/log" &
server=$!
for _ in $(seq 200); do [[ -s $work/address ]] && break || sleep 0.1; done
url=$(sed -E 's/.*"url":"([^"]+)".*/\1/' "$work/address")

# It keeps what it finds below the working directory.
cd "$work"
# Who may do what is the end-to-end tests' own matter.
"$parts/http-test-venv/bin/schemathesis" run "$url/openapi.json" --url "$url" \
    --header 'X-Tenant-Schema: dev' --header 'X-Tenant-ID: dev-tenant' --header 'X-Case-ID: local' \
    --header 'X-Internal-Key: schemathesis-internal-key' \
    --max-examples "${EXAMPLES:-20}" --seed 1 --request-timeout 20 --no-color \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance,negative_data_rejection,unsupported_method
