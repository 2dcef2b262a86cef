#!/usr/bin/env bash
# Starts Strowger in the foreground as a media engine and nothing else, for a comparison with other engines that speak the
# NG control protocol.
#
# Reads NG_HOST and NG_PORT (where requests come, by UDP), MEDIA_IP (where media comes) and BENCH_TMP (a scratch folder).
# One packet thread. Set STROWGER to the binary to run.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
binary=${STROWGER:-$here/target/release/strowger}
data=$(mktemp -d "${BENCH_TMP:?a scratch folder}/strowger-media.XXXXXX")
cat > "$data/strowger.toml" <<TOML
[exchange]
data = "$data"
workers = 1
drain_s = 0
[sip]
listen = []
[ng]
listen_udp = "${NG_HOST:?}:${NG_PORT:?}"
calls_max = 100000
[media]
interfaces = [{ name = "default", bind = ["${MEDIA_IP:?}"] }]
ports = "10000-39999"
threads = 1
[http]
listen = "127.0.0.1:${HTTP_PORT:-18080}"
[api]
listen = "127.0.0.1:${API_PORT:-18081}"
[log]
level = "error"
TOML
exec "$binary" --config "$data/strowger.toml" serve
