#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kata-runtime events and metrics: numbers of a container, lack of memory, a sandbox that does not answer; what a
# kata-shim takes.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/live/oci-lib.sh
. "$T_LIB/oci-lib.sh"

has_lines() {
        (($(jq -c "select(.type == \"$1\")" "$T_WORK/events" | wc -l) >= $2))
}

# metric NAME: its value for sandbox "ev", from $T_WORK/metrics.
metric() {
        sed -n "s/^$1{sandbox_id=\"ev\"[^}]*} //p" "$T_WORK/metrics"
}

one_line_of_numbers() {
        must kata-runtime events --stats ev
        assert_eq "$(wc -l <"$T_WORK/try.out")" 1
        assert_eq "$(jq -r '[.type, .id] | join(" ")' "$T_WORK/try.out")" 'stats ev'
        # The names of runc.
        assert_eq "$(jq -r '.data | keys | join(" ")' "$T_WORK/try.out")" \
                'blkio cpu cpuset hugetlb intel_rdt memory network_interfaces pids'
        (($(jq '.data.pids.current' "$T_WORK/try.out") >= 1)) || fail "no processes: $(cat "$T_WORK/try.out")"
        (($(jq '.data.cpu.usage.total' "$T_WORK/try.out") > 0)) || fail "no processor time"
        assert_eq "$(jq '.data.memory.usage.limit' "$T_WORK/try.out")" 33554432
}

numbers_for_prometheus() {
        must kata-runtime metrics
        cp "$T_WORK/try.out" "$T_WORK/metrics"
        # Each name has its help and type once, before its values.
        assert_eq "$(grep -c '^# TYPE kata_container_processes ' "$T_WORK/metrics")" 1
        assert_eq "$(grep -vcE '^(# (HELP|TYPE) kata_[a-z_]+ .+|kata_[a-z_]+(\{[^}]*\})? [0-9.]+)$' "$T_WORK/metrics" || true)" 0
        (($(sed -n 's/^kata_monitor_running_shim_count //p' "$T_WORK/metrics") >= 1)) || fail "no sandboxes"
        assert_eq "$(metric kata_sandbox_responding)" 1
        assert_eq "$(metric kata_container_memory_limit_bytes)" 33554432
        (($(metric kata_container_processes) >= 1)) || fail "no processes"
        (($(metric kata_hypervisor_threads) >= 2)) || fail "no threads"
        assert_match "$(metric kata_sandbox_cpu_seconds_total)" '^[0-9]+\.[0-9]{6}$'
        assert_match "$(metric kata_container_cpu_seconds_total)" '^[0-9]+\.[0-9]{9}$'
}

# A supervisor that is stopped answers nobody.
nobody_answers() {
        local pid
        pid=$(unit_property kata-sandbox@ev MainPID)
        kill -STOP "$pid"
        must timeout 15 kata-runtime metrics
        kill -CONT "$pid"
        cp "$T_WORK/try.out" "$T_WORK/metrics"
        assert_eq "$(metric kata_sandbox_responding)" 0
        assert_eq "$(metric kata_container_processes)" ''
        assert_contains "$(cat "$T_WORK/try.err")" "sandbox 'ev' does not tell of its containers"
        assert_match "$(metric kata_sandbox_cpu_seconds_total)" '^[0-9]+\.'
}

# One for each process of a container: it may take half a megabyte while it waits.
shim_is_small() {
        local pid pss
        pid=$(kata-runtime state ev | jq .pid)
        pss=$(awk '$1 == "Pss:" { print $2 }' "/proc/$pid/smaps_rollup")
        echo "kata-shim: $pss kB"
        ((pss < 512)) || fail "kata-shim takes $pss kB"
}

events_and_metrics() {
        trap o_delete_all EXIT
        o_bundle ev 'while read -r line; do dd if=/dev/zero of=/dev/null bs=128M count=1; echo told; done; sleep 1' \
                '.linux.resources = {memory: {limit: 33554432}}'
        mkfifo "$T_WORK/in"
        exec 7<>"$T_WORK/in"
        kata-runtime create --bundle "$T_WORK/bundles/ev" ev <"$T_WORK/in" >"$T_WORK/out" 2>"$T_WORK/err"
        must kata-runtime start ev
        assert_status 1 kata-runtime events --interval 0s ev
        assert_contains "$RUN_OUTPUT" "--interval '0s'"
        shim_is_small
        one_line_of_numbers
        numbers_for_prometheus
        nobody_answers

        kata-runtime events --interval 200ms ev >"$T_WORK/events" 2>"$T_WORK/events.err" 7>&- &
        local pid=$!
        wait_for 20 "two lines of numbers" has_lines stats 2
        assert_eq "$(kata-runtime state ev | jq -r .status)" running 'state while events watches'
        echo eat >&7
        wait_for 60 "lack of memory" has_lines oom 1
        assert_eq "$(jq -c 'select(.type == "oom")' "$T_WORK/events" | head -n 1)" '{"type":"oom","id":"ev"}'
        assert_journal MESSAGE_ID=905c10d236f0452d8761f2bf62782b47 KATA_CONTAINER_ID=ev PRIORITY=4
        wait_for 20 "the rest of the container" grep -q told "$T_WORK/out"
        must kata-runtime metrics
        cp "$T_WORK/try.out" "$T_WORK/metrics"
        assert_match "$(metric kata_container_oom_kills_total)" '^[1-9]' 'count of kills'
        exec 7>&-
        wait "$pid" || fail "events ended with status $?: $(cat "$T_WORK/events.err")"
        assert_status 1 kata-runtime events ev
        assert_contains "$RUN_OUTPUT" 'container with id ev is not running'
        must kata-runtime delete ev
}

t "events and metrics" events_and_metrics
