#!/usr/bin/env bash
# How much memory an established call takes: benches/peers/held.sh [CALLS]
#
# sipp sets up CALLS calls (5,000 unless said) through an exchange with one worker, media past it, and holds them.
# Printed is what the process has grown by, divided by the calls: journals, transactions and all. Set STROWGER to the
# binary. Needs sipp, openssl and curl.
set -euo pipefail
calls=${1:-5000}
here=$(cd "$(dirname "$0")" && pwd)
BENCH_TMP=$(mktemp -d)
export BENCH_TMP SIP_HOST=127.0.0.1 SIP_PORT=15060 TLS_PORT=15061 REALM=held.example USERS=1 HTTP_PORT=18080
started=()
stop() {
  kill "${started[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$BENCH_TMP"
}
trap stop EXIT

bash "$here/serve.sh" > "$BENCH_TMP/serve.log" 2>&1 &
server=$!
started+=("$server")
metric() { curl -sf "http://127.0.0.1:$HTTP_PORT/metrics" | sed -n "s/^$1 //p"; }
memory() { sed -n 's/^Pss: *\([0-9]*\) kB/\1/p' "/proc/$server/smaps_rollup"; }
until curl -sf "http://127.0.0.1:$HTTP_PORT/readyz" > /dev/null; do
  kill -0 "$server" || { cat "$BENCH_TMP/serve.log"; exit 1; }
  sleep 0.1
done
before=$(memory)

sipp -sn uas -i 127.0.0.11 -p 16060 -nostdin > /dev/null 2>&1 &
started+=("$!")
sipp -sn uac -i 127.0.0.10 -p 16060 -rsa "$SIP_HOST:$SIP_PORT" 127.0.0.11:16060 -r 500 -m "$calls" -l "$calls" \
  -d 600000 -nostdin > /dev/null 2>&1 &
started+=("$!")
for _ in $(seq 300); do
  held=$(metric strowger_calls)
  [ "${held%.*}" -ge "$calls" ] && break
  sleep 0.2
done
# Transactions are remembered for 32 s after their end.
during=$(memory)
sleep 40
after=$(memory)
echo "$held calls: $(((during - before) * 1024 / calls)) bytes a call at once," \
  "$(((after - before) * 1024 / calls)) bytes a call when their transactions are over"
