#!/usr/bin/env bash
# Run one test many times and print how often it failed.
# Usage: rerun.sh TEST_ID [TIMES] [extra pytest arguments...]
set -u
test_id=${1:?usage: rerun.sh TEST_ID [TIMES] [pytest arguments...]}
times=${2:-30}
shift; [ $# -gt 0 ] && shift

logs=$(mktemp -d)
failed=0
for i in $(seq 1 "$times"); do
    if python -m pytest -q -p no:cacheprovider "$test_id" "$@" >"$logs/$i.log" 2>&1; then
        rm "$logs/$i.log"
    else
        failed=$((failed + 1))
    fi
done

echo "$test_id: $((times - failed)) passed, $failed failed of $times ($((100 * failed / times))%)"
if [ "$failed" -gt 0 ]; then
    echo "logs of the failures: $logs"
    exit 1
fi
rmdir "$logs"
