#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Many containers of the OCI command line, in a row and at once: every exit status is right, nothing is left. They are
# in one sandbox, since booting one for each would take most of the time; three sandboxes at once beside that.
# M_ROW is the number of those in a row: 25, with T_ALL=1 200.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/live/oci-lib.sh
. "$T_LIB/oci-lib.sh"

M_DEFAULT=$((T_EMULATED ? 10 : 25))
[[ -z ${T_ALL:-} ]] || M_DEFAULT=200
M_ROW=${M_ROW:-$M_DEFAULT}
T_TIMEOUT=$((T_TIMEOUT + M_ROW * 6 * T_SCALE))

# What the Nth container does and what it has to end with: every tenth is killed.
command_of() {
        if (($1 % 10 == 9)); then
                echo "echo $1; kill -KILL \$\$"
        else
                echo "echo $1; exit $(($1 % 120))"
        fi
}

status_of() {
        echo $(($1 % 10 == 9 ? 137 : $1 % 120))
}

# filter_of N: for its bundle.
filter_of() {
        if (($1 % 10 == 9)); then
                echo "$O_MORTAL"
        else
                echo .
        fi
}

start_pod() {
        trap o_delete_all EXIT
        o_bundle pod 'exec sleep 10000'
        must kata-runtime create --bundle "$T_WORK/bundles/pod" pod
        must kata-runtime start pod
}

# One that waits for its container does not keep others away from it.
killed_from_outside() {
        o_bundle waits 'exec sleep 1000' "$(o_pod pod)"
        kata-runtime run --bundle "$T_WORK/bundles/waits" waits </dev/null >"$T_WORK/waits.out" 2>&1 &
        local pid=$! rc=0
        wait_for 20 "the container" o_is waits running
        must kata-runtime kill waits KILL
        wait "$pid" || rc=$?
        assert_eq "$rc" 137 "status of run"
        try kata-runtime state waits
        assert_eq "$TRY_STATUS" 1
}

in_a_row() {
        local n
        start_pod
        killed_from_outside
        for ((n = 0; n < M_ROW; n++)); do
                o_bundle c "$(command_of "$n")" "$(o_pod pod) | $(filter_of "$n")"
                try kata-runtime run --bundle "$T_WORK/bundles/c" "c$n"
                assert_eq "$TRY_STATUS" "$(status_of "$n")" "status of container $n ($(cat "$T_WORK/try.err"))"
                assert_eq "$(cat "$T_WORK/try.out")" "$n" "output of container $n"
        done
        assert_eq "$(kata-runtime list --quiet)" pod
        assert_eq "$(find /run/kata-runtime/pod -mindepth 1 -name 'exec-*')" ''
}

# at_once COUNT FILTER: each in the background, its status in a file.
at_once() {
        local count=$1 filter=$2 n pids=()
        for ((n = 0; n < count; n++)); do
                o_bundle "c$n" "$(command_of "$n")" "$filter | $(filter_of "$n")"
        done
        for ((n = 0; n < count; n++)); do
                {
                        local rc=0
                        timeout "$((100 * T_SCALE))" kata-runtime run --bundle "$T_WORK/bundles/c$n" "c$n" </dev/null \
                                >"$T_WORK/out.$n" 2>"$T_WORK/err.$n" || rc=$?
                        echo "$rc" >"$T_WORK/status.$n"
                } &
                pids+=("$!")
        done
        wait "${pids[@]}"
        for ((n = 0; n < count; n++)); do
                assert_eq "$(cat "$T_WORK/status.$n")" "$(status_of "$n")" "status of container $n ($(cat "$T_WORK/err.$n"))"
                assert_eq "$(cat "$T_WORK/out.$n")" "$n" "output of container $n"
        done
}

twenty_at_once() {
        start_pod
        at_once 20 "$(o_pod pod)"
        assert_eq "$(kata-runtime list --quiet)" pod
}

three_sandboxes_at_once() {
        trap o_delete_all EXIT
        at_once 3 .
        assert_eq "$(kata-runtime list --quiet)" ''
}

t_live "containers in a row" in_a_row
t "20 containers at once" twenty_at_once
t_live "3 sandboxes at once" three_sandboxes_at_once
