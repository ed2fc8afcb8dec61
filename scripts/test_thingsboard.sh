#!/bin/sh
# Runs the contract of platforms and the journeys against one tenant of a ThingsBoard that runs, and
# removes whatever they made there, also when they fail or are interrupted.
set -eu

cd "$(dirname "$0")/.."
for name in THINGSBOARD_URL THINGSBOARD_USER THINGSBOARD_PASSWORD; do
    eval "[ -n \"\${$name:-}\" ]" || { echo "test-thingsboard: set $name" >&2; exit 2; }
done
# Everything that is made has it in its name; only with it do the tests go there.
export THINGSBOARD_RUN="vt$(date +%s)"

run() { cargo test --locked --features fault-points --test gateway -- "$@"; }

clean_up() {
    status=$?
    trap - EXIT INT TERM
    echo "test-thingsboard: removing what run $THINGSBOARD_RUN made"
    run thingsboard_clean_up || status=1
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

echo "test-thingsboard: run $THINGSBOARD_RUN on $THINGSBOARD_URL"
run platform_contract:: thingsboard_journeys:: thingsboard_tutorial::
