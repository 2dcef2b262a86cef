#!/usr/bin/env bash
# Starts Strowger in the foreground for a comparison with other SIP servers on one machine.
#
# Reads SIP_HOST, SIP_PORT, TLS_PORT, REALM, USERS (how many users u0..uN-1, password pwN) and BENCH_TMP (a scratch
# folder). 127.0.0.10 (caller) and 127.0.0.11 (callee) are trunks: calls between them go to the host and port of the
# request URI, past our media ports, as a proxy would send them. Everything else is as a user gets it: every call has
# its journalled call detail record, every binding survives a crash. Set STROWGER to the binary to run.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
binary=${STROWGER:-$here/target/release/strowger}
tmp=${BENCH_TMP:?a scratch folder}
data=$(mktemp -d "$tmp/strowger.XXXXXX")
[ -s "$tmp/cert.pem" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$tmp/key.pem" \
  -out "$tmp/cert.pem" -days 30 -subj "/CN=$REALM" -addext "subjectAltName=DNS:$REALM" 2>/dev/null
chmod 600 "$tmp/key.pem"
cat > "$data/strowger.toml" <<TOML
[exchange]
domains = ["$REALM"]
data = "$data"
workers = ${WORKERS:-1}
[sip]
calls_max = 100000
listen = [
  { transport = "udp", address = "$SIP_HOST:$SIP_PORT" },
  { transport = "tcp", address = "$SIP_HOST:$SIP_PORT" },
  { transport = "tls", address = "$SIP_HOST:$TLS_PORT" },
]
[sip.tls]
certificate = "$tmp/cert.pem"
key = "$tmp/key.pem"
[registrar]
algorithms = ["MD5"]
[media]
mode = "direct"
interfaces = [{ name = "default", bind = ["127.0.0.1"] }]
[http]
listen = "127.0.0.1:${HTTP_PORT:-18080}"
[api]
listen = "127.0.0.1:${API_PORT:-18081}"
[log]
level = "error"
[[trunk]]
name = "caller"
sources = ["127.0.0.10"]
options_interval_s = 0
media = "direct"
[[trunk]]
name = "callee"
sources = ["127.0.0.11"]
options_interval_s = 0
media = "direct"
[[route]]
name = "on"
from_trunk = ["caller", "callee"]
to = [{ dialled = true }]
TOML
seq 0 $((USERS - 1)) | sed 's/.*/u&,pw&/' > "$data/users.csv"
"$binary" --config "$data/strowger.toml" user import "$data/users.csv" > "$tmp/import.log" 2>&1
exec "$binary" --config "$data/strowger.toml" serve
