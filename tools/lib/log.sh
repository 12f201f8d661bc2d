# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Progress lines, errors and the clean-up stack of the tools. Runs on the developer's or CI machine
# as root; no trust boundary is crossed here.
#
# Functions that "return" a string put it into REPLY: a command substitution would run them in a
# subshell, where locks and clean-ups they take would be lost.

CLEANUPS=()
# A tool that another tool starts goes on counting where that one is.
SECONDS=${KATA_ELAPSED:-0}

elapsed() {
        local s=$SECONDS
        if ((s < 60)); then
                REPLY="${s} s"
        else
                printf -v REPLY '%d:%02d min' $((s / 60)) $((s % 60))
        fi
}

# Progress goes to standard error: standard output belongs to the command that a tool runs. Parts whose
# output goes to a log set STEP_FD to what standard error was before.
step() {
        # elapsed() must not overwrite the caller's REPLY.
        local REPLY
        [[ -z ${KATA_QUIET:-} ]] || return 0
        elapsed
        printf '==> %s (%s)\n' "$*" "$REPLY" >&"${STEP_FD:-2}"
}

# Passes standard input on; its lines that begin with PREFIX are shown as progress, too.
show_progress() {
        local line
        while IFS= read -r line; do
                printf '%s\n' "$line"
                [[ $line != "$1"* ]] || step "${line#"$1"}"
        done
}

warn() {
        printf 'warning: %s\n' "$*" >&2
}

die() {
        printf 'error: %s\n' "$*" >&2
        exit 1
}

# Registers a command line (a string, evaluated) that runs when the script ends, last first.
on_exit() {
        CLEANUPS+=("$1")
}

run_cleanups() {
        local rc=$? i
        trap - EXIT
        trap '' INT TERM HUP
        set +e
        for ((i = ${#CLEANUPS[@]} - 1; i >= 0; i--)); do
                eval "${CLEANUPS[i]}"
        done
        exit "$rc"
}

setup_traps() {
        trap run_cleanups EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        trap 'exit 129' HUP
}

# The processes below PID, and PID itself, in REPLY_PIDS. Those in pid namespaces of their own (nodes,
# trees) are left out: they end with the process that made the namespace, in their own way.
process_tree() {
        local status key value pid parent='' i=0
        local -A children=()
        for status in /proc/[0-9]*/status; do
                pid=${status//[!0-9]/}
                while read -r key value; do
                        case $key in
                        PPid:) children[$value]+=" $pid" ;;
                        NSpid:)
                                [[ $value != *[[:space:]]* ]] || children[$parent]=${children[$parent]% "$pid"}
                                break
                                ;;
                        esac
                        [[ $key != PPid: ]] || parent=$value
                done 2>/dev/null <"$status" || true
        done
        REPLY_PIDS=("$1")
        while ((i < ${#REPLY_PIDS[@]})); do
                # shellcheck disable=SC2206
                REPLY_PIDS+=(${children[${REPLY_PIDS[i]}]:-})
                i=$((i + 1))
        done
}

# Ends a child with all its processes: asks first, since a node wants to shut down.
end_tree() {
        local deadline=$((SECONDS + 40)) REPLY_PIDS
        process_tree "$1"
        kill -TERM "${REPLY_PIDS[@]}" 2>/dev/null
        while kill -0 "$1" 2>/dev/null && ((SECONDS < deadline)); do
                sleep 0.1
        done
        process_tree "$1"
        kill -KILL "${REPLY_PIDS[@]}" 2>/dev/null
        wait "$1" 2>/dev/null
}

# Runs a command in the background and waits for it, so that a signal to this shell is handled at
# once and not when the command ends. Standard input is passed on.
run_waiting() {
        local pid rc=0
        "$@" <&0 &
        pid=$!
        on_exit "end_tree $pid"
        wait "$pid" || rc=$?
        unset 'CLEANUPS[-1]'
        return "$rc"
}

# Runs a command with its output appended to a log file. If it fails, the end of the log is shown and
# the tool ends: callers may stand in a condition, where "set -e" does not count.
run_logged() {
        local log=$1 rc=0 STEP_FD=${STEP_FD:-} own_fd=''
        shift
        if [[ -z $STEP_FD ]]; then
                exec {own_fd}>&2
                STEP_FD=$own_fd
        fi
        run_waiting "$@" >>"$log" 2>&1 || rc=$?
        [[ -z $own_fd ]] || exec {own_fd}>&-
        ((rc != 0)) || return 0
        tail -n "${KATA_LOG_TAIL:-40}" "$log" >&2
        die "$1 failed with status $rc; the whole log is $log"
}
