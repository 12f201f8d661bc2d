#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kata-runtime dies at every system call of create, start, kill and delete, and so does the kata-shim that create
# starts: a following delete --force brings everything back to where it was. By default at every S_STEP-th call from
# S_OFFSET on, which is random and shown; with T_ALL=1 at all of them. S_VERB, a regular expression, selects
# sweeps.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/live/oci-lib.sh
. "$T_LIB/oci-lib.sh"

S_KILL_AT=/usr/libexec/kata-tests/kill-at
S_ROOT=/run/kata-runtime
# Calls per step: of containers that share a sandbox, and of those for which one is booted each time.
if [[ -n ${T_ALL:-} ]]; then
        S_DEFAULTS=(1 20)
        T_TIMEOUT=3600
elif ((T_EMULATED)); then
        S_DEFAULTS=(60 150)
else
        S_DEFAULTS=(11 90)
fi
S_STEP=${S_STEP:-${S_DEFAULTS[0]}}
S_BOOT_STEP=${S_BOOT_STEP:-${S_DEFAULTS[1]}}
S_OFFSET=${S_OFFSET:-$RANDOM}

# For the output of a test that fails, and for the journal.
say() {
        echo "$*"
        logger -t "$T_SUITE" -- "$*"
}

# look: what there is of containers and sandboxes.
look() {
        local pid
        systemctl list-units --all --plain --no-legend 'kata-sandbox@*' 'kata-vm-*' 'sweep-*' |
                awk '$3 != "inactive" { print "unit", $1, $3, $4 }'
        find "$S_ROOT" /run/kata -mindepth 1 -maxdepth 2 -printf 'file %p %y\n'
        pgrep -x kata-shim | sed 's/^/shim /' || true
        for pid in $(pgrep -x kata-sandboxd || true); do
                awk -v pid="$pid" '{ print "mount of", pid, $5 }' "/proc/$pid/mountinfo" || true
                echo "descriptors of $pid: $(find "/proc/$pid/fd" -mindepth 1 | wc -l)"
        done
        find /sys/fs/cgroup/kata.slice -name cgroup.procs -exec sort {} + 2>/dev/null | sed 's/^/process /'
}

# Some of it takes a moment to go.
expect_baseline() {
        local deadline=$((SECONDS + 10 * T_SCALE))
        until look 2>/dev/null | sort >"$T_WORK/now" && cmp -s "$T_WORK/baseline-of-sweep" "$T_WORK/now"; do
                ((SECONDS < deadline)) ||
                        fail "$1: not as before: $(diff "$T_WORK/baseline-of-sweep" "$T_WORK/now" | grep '^[<>]')"
                sleep 0.05
        done
}

take_baseline() {
        sleep 0.5
        look | sort >"$T_WORK/baseline-of-sweep"
}

# What has to be there before the command that is killed.
prepare() {
        case $1 in
        create | shim) ;;
        start | delete) must kata-runtime --systemd-cgroup create --bundle "$2" c1 ;;
        kill)
                must kata-runtime --systemd-cgroup create --bundle "$2" c1
                must kata-runtime start c1
                ;;
        esac
}

# sweep WHAT BUNDLE STEP: dies at calls of WHAT.
sweep() {
        local what=$1 bundle=$2 step=$3 n tries=0 outcome words=() child=()
        [[ $what =~ ${S_VERB:-} ]] || return 0
        case $what in
        create) words=(--systemd-cgroup create --bundle "$bundle" --pid-file "$T_WORK/pid" c1) ;;
        shim) words=(--systemd-cgroup create --bundle "$bundle" --pid-file "$T_WORK/pid" c1) child=(--child) ;;
        start) words=(start c1) ;;
        kill) words=(kill c1 KILL) ;;
        delete) words=(delete c1) ;;
        esac
        for ((n = S_OFFSET % step + 1;; n += step)); do
                prepare "$what" "$bundle"
                try "$S_KILL_AT" "${child[@]}" "$T_WORK/report" "$n" kata-runtime "${words[@]}"
                outcome=$(cat "$T_WORK/report")
                tries=$((tries + 1))
                try kata-runtime delete --force c1
                ((TRY_STATUS == 0)) || fail "$what, call $n ($outcome): delete --force: $(cat "$T_WORK/try.err")"
                expect_baseline "$what, call $n ($outcome)"
                [[ $outcome != ended* ]] || break
        done
        say "$what: killed $((tries - 1)) times, every $step of ${outcome#ended } calls from $((S_OFFSET % step + 1)) on"
}

need_kill_at() {
        [[ -x $S_KILL_AT ]] || skip "no $S_KILL_AT in this node"
        say "S_OFFSET=$S_OFFSET S_STEP=$S_STEP S_BOOT_STEP=$S_BOOT_STEP"
}

in_a_pod() {
        need_kill_at
        trap o_delete_all EXIT
        o_bundle pod 'exec sleep 10000'
        # With a scope of its own.
        o_bundle c1 'exec sleep 10000' "$(o_pod pod) | .linux.cgroupsPath = \"machine.slice:sweep:c1\""
        must kata-runtime create --bundle "$T_WORK/bundles/pod" pod
        must kata-runtime start pod
        # The first container of a sandbox leaves things behind that stay.
        must kata-runtime --systemd-cgroup create --bundle "$T_WORK/bundles/c1" c1
        must kata-runtime delete --force c1
        take_baseline
        local what
        for what in create shim start kill delete; do
                sweep "$what" "$T_WORK/bundles/c1" "$S_STEP"
        done
        assert_eq "$(o_status pod)" running
}

with_its_sandbox() {
        need_kill_at
        trap o_delete_all EXIT
        o_bundle c1 'exec sleep 10000'
        mkdir -p "$S_ROOT"
        take_baseline
        sweep create "$T_WORK/bundles/c1" "$S_BOOT_STEP"
        sweep delete "$T_WORK/bundles/c1" "$S_BOOT_STEP"
        # Not a crash of ours, but the same way out.
        must kata-runtime create --bundle "$T_WORK/bundles/c1" c1
        echo '{"id": ' >"$S_ROOT/c1/state.json"
        must kata-runtime delete --force c1
        expect_baseline 'damaged state.json'
}

t_live "kill -9 at system calls, containers of a pod" in_a_pod
t_live "kill -9 at system calls, a sandbox each" with_its_sandbox
