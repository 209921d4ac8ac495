#!/bin/sh
# Rehearses a fly.toml, the incident's unless told otherwise, sixty times faster than life, and fails when it would not hold.
# It needs `outlast` on PATH. A job of a CI runs it and keeps gate.html whatever the outcome.
set -eu
here=$(dirname "$0")
config=$here/../incident/fly.toml
if [ $# -gt 0 ]; then
    config=$1
    shift
fi
exec outlast drill "$here/plan.toml" \
    --url http://127.0.0.1:8080 --admin http://127.0.0.1:8079 \
    --time-scale 60 --json gate.json --html gate.html --server-log gate.log \
    -- env OUTLAST_AGENT_RUNS_MAX=100 outlast up --no-auth --config "$config" --queue-timeout 500ms "$@"
