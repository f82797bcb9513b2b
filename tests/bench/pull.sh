#!/usr/bin/env bash
# How fast `albumctl models pull` is beside curl, over loopback, from the same server, in turns within one run.
# albumctl hashes while it writes, syncs to disk and renames; curl only writes. Needs curl and python3.
#   tests/bench/pull.sh [MEGABYTES] [ROUNDS] [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/../.."

megabytes=${1:-500}
rounds=${2:-7}
place=$(mktemp -d "${3:-${TMPDIR:-/tmp}}/albumctl-pull.XXXXXX")
binary=${ALBUMCTL:-$PWD/target/release/albumctl}
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$place"' EXIT

mkdir -p "$place/served" "$place/home/.config/albumctl/models"
head -c "${megabytes}000000" /dev/urandom > "$place/served/model.bin"
sha256=$(sha256sum "$place/served/model.bin" | cut -d' ' -f1)

python3 - "$place/served" "$place/port" <<'PY' &
import functools, http.server, os, sys
folder, port = sys.argv[1:]
class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    # The kernel copies, so that the server is never what is measured.
    def copyfile(self, source, out):
        offset, left = 0, os.fstat(source.fileno()).st_size
        out.flush()
        while left > 0:
            sent = os.sendfile(self.connection.fileno(), source.fileno(), offset, left)
            offset, left = offset + sent, left - sent
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
open(port + ".new", "w").write(str(server.server_port))
os.rename(port + ".new", port)
server.serve_forever()
PY
server=$!
while [ ! -s "$place/port" ]; do sleep 0.05; done
url="http://127.0.0.1:$(cat "$place/port")/model.bin"
cat > "$place/home/.config/albumctl/models/bench.yaml" <<YAML
name: bench
version: 1
task: none
license: MIT
file: {name: model.bin, size: ${megabytes}000000, sha256: $sha256}
sources: ["$url"]
YAML

# Milliseconds of one run of the words after the name of the list they are added to.
measure() {
  local list=$1 start end; shift
  rm -rf "$place/home/.local" "$place/got"
  sync -f "$place"
  start=$(date +%s%N); "$@" > /dev/null; end=$(date +%s%N)
  eval "$list+=($(( (end - start) / 1000000 )))"
}
fetch() { curl -sS -o "$place/got" "$url"; }
fetch_and_check() { fetch; echo "$sha256  $place/got" | sha256sum -c --quiet; sync "$place/got"; }
pull() { env -i HOME="$place/home" PATH="$PATH" "$binary" models pull bench -q; }
median() { printf '%s\n' "$@" | sort -n | sed -n "$(( ($# + 1) / 2 ))p"; }

curl=() checked=() ours=()
for _ in $(seq "$rounds"); do
  measure curl fetch
  measure ours pull
  measure checked fetch_and_check
done
c=$(median "${curl[@]}") k=$(median "${checked[@]}") o=$(median "${ours[@]}")
echo "$("$binary" --version), $(curl --version | head -1 | cut -d' ' -f1,2), $(python3 --version)"
echo "$megabytes MB, median of $rounds, $(df --output=fstype "$place" | tail -1), $(nproc) cores"
echo "curl                            $c ms  $(( megabytes * 1000 / c )) MB/s"
echo "curl, then sha256sum, then sync $k ms  $(( megabytes * 1000 / k )) MB/s"
echo "albumctl models pull            $o ms  $(( megabytes * 1000 / o )) MB/s"
echo "speed beside curl               $(( 100 * c / o )) %"
echo "speed beside curl that checks   $(( 100 * k / o )) %"
