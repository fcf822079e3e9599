#!/bin/sh
# One shard on each host, over ssh; the parts are fetched and merged here.
#
#   ssh.sh GRID OUT HOST...
#
# Each host has ember-bench, the models' keys, and the grid at the same path relative to the home.
# Run it again after a host failed: each continues its part.
set -eu
grid=$1 out=$2
shift 2
count=$# number=0
mkdir -p "$out.parts"
for host in "$@"; do
    number=$((number + 1))
    ssh "$host" "ember-bench run '$grid' --shard $number/$count --results part-$number --quiet" \
        >"$out.parts/$number.log" 2>&1 &
done
wait
number=0
for host in "$@"; do
    number=$((number + 1))
    scp -rq "$host:part-$number" "$out.parts/" || echo "$host: shard $number was not fetched" >&2
done
exec ember-bench merge "$out" "$out.parts"/part-*
