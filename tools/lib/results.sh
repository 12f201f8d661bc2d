# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
#
# Counting of test results. Each suite of tools/check is a process of its own that leaves its counts in
# a file, so that nothing a suite does can end the whole check or lose what others found.

RESULT_PASSED=0 RESULT_FAILED=0 RESULT_SKIPPED=0

result_ok() {
        printf 'ok %s\n' "$*"
        RESULT_PASSED=$((RESULT_PASSED + 1))
}

result_fail() {
        printf 'not ok %s\n' "$*"
        RESULT_FAILED=$((RESULT_FAILED + 1))
}

# result_skip NAME REASON
result_skip() {
        printf 'skip %s (%s)\n' "$1" "$2"
        RESULT_SKIPPED=$((RESULT_SKIPPED + 1))
}

result_add() {
        RESULT_PASSED=$((RESULT_PASSED + $1))
        RESULT_FAILED=$((RESULT_FAILED + $2))
        RESULT_SKIPPED=$((RESULT_SKIPPED + $3))
}

# result_write SUITE STATUS FILE: the end of a suite.
result_write() {
        (($2 == 0)) || result_fail "suite $1 ended early with status $2"
        echo "$RESULT_PASSED $RESULT_FAILED $RESULT_SKIPPED" >"$3"
}

result_summary() {
        printf '%d passed, %d failed, %d skipped\n' "$RESULT_PASSED" "$RESULT_FAILED" "$RESULT_SKIPPED"
}

result_subshell() {
        set -e
        CLEANUPS=()
        setup_traps
        "$@"
}

# result_status NAME LOG STATUS: one result from the status of a command; the end of its log is shown if it failed.
result_status() {
        if (($3 == 0)); then
                result_ok "$1"
        else
                result_fail "$1"
                tail -n 60 "$2" | sed 's/^/    /'
                printf '    (status %d, whole log: %s)\n' "$3" "$2"
        fi
}

# result_command NAME LOG COMMAND...: one result from a command; its output is shown if it fails. The
# command may be a function; it runs in a subshell, where a failing part ends it.
result_command() {
        local name=$1 log=$2 rc=0 STEP_FD
        shift 2
        exec {STEP_FD}>&2
        # What stands in a condition ignores "set -e": the status is taken afterwards.
        set +e
        run_waiting result_subshell "$@" >"$log" 2>&1
        rc=$?
        set -e
        exec {STEP_FD}>&-
        result_status "$name" "$log" "$rc"
}

# result_meson PREFIX TESTLOG: results from the JSON lines that "meson test" writes. A test that cannot run
# says "skipped: REASON".
result_meson() {
        local prefix=$1 testlog=$2 line name result reason
        while IFS= read -r line; do
                [[ $line =~ ^'{"name": "'([^\"]*)'"' ]] || continue
                name=${BASH_REMATCH[1]##* / }
                [[ $line =~ '"result": "'([A-Z]+)'"' ]] || continue
                result=${BASH_REMATCH[1]}
                case $result in
                OK | EXPECTEDFAIL) result_ok "$prefix: $name" ;;
                SKIP)
                        reason='the test says that it cannot run here'
                        [[ ! $line =~ skipped:\ ([^\"\\]+) ]] || reason=${BASH_REMATCH[1]}
                        result_skip "$prefix: $name" "$reason"
                        ;;
                *) result_fail "$prefix: $name ($result)" ;;
                esac
        done <"$testlog"
}

# result_last_line NAME FILE: adds the sum that a run in a node ended with; without one, it failed.
result_last_line() {
        if [[ $(tail -n 1 "$2") =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
                result_add "${BASH_REMATCH[@]:1}"
        else
                result_fail "$1 ended without a result"
        fi
}
