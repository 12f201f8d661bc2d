#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# How fast the standard streams of a container are, in kB (1,000 bytes) a second, through everything that lies
# between a process in the guest and a file of the caller: for tools/bench, in a node. No test; lines "NAME NUMBER".
#   bench-stdio.sh [MB]
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/live/oci-lib.sh
. "$(dirname "$0")/oci-lib.sh"

MEGABYTES=${1:-200}

# rate NAME COMMAND...: its time is that of MEGABYTES.
rate() {
        local name=$1 begin=${EPOCHREALTIME/./} usec
        shift
        "$@"
        usec=$((${EPOCHREALTIME/./} - begin))
        printf '%s %d\n' "$name" $((MEGABYTES * 1000000 * 1000 / usec))
}

from_container() {
        kata-runtime exec bench /bin/dd if=/dev/zero bs=100000 count=$((MEGABYTES * 10)) 2>"$T_WORK/dd" | cat >/dev/null
}

to_container() {
        head -c "${MEGABYTES}000000" /dev/zero | kata-runtime exec bench /bin/sh -c 'cat >/dev/null'
}

T_WORK=$T_DIR/work
mkdir "$T_WORK"
"$LEAK_CHECK" baseline "$T_WORK/baseline"
trap 'o_delete_all; rm -rf "$T_DIR"' EXIT
o_bundle bench 'exec sleep 100000'
kata-runtime run --detach --bundle "$T_WORK/bundles/bench" bench </dev/null >"$T_WORK/bench.out" 2>&1
kata-runtime exec bench /bin/true
rate stdout from_container
rate stdin to_container
o_delete_all
"$LEAK_CHECK" compare "$T_WORK/baseline"
