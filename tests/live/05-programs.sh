#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Test programs that need a machine of their own: root, a cgroup tree, a running systemd. They are those that are
# named test-*live* where they are built, and come with the node.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

PROGRAMS=/usr/libexec/kata-tests

# A program says "skipped: REASON" and ends with 77 if it can not run here.
run_program() {
        run "$PROGRAMS/$PROGRAM" "$@"
        if ((RUN_STATUS == 77)); then
                skip "$(sed -n 's/^skipped: //p' <<<"$RUN_OUTPUT" | tail -n 1)"
        fi
        ((RUN_STATUS == 0)) || fail "$PROGRAM ended with status $RUN_STATUS"
}

# What grows would be the agent's doing and not the release's, so more of it runs on one of them; all of it, ten
# thousand processes and a thousand containers, with T_ALL=1.
run_cycles() {
        case ${T_ALL:-}:$(. /etc/os-release && echo "$VERSION_CODENAME") in
        :bookworm) run_program /usr/bin/kata-agent 1000 100 ;;
        :*) run_program /usr/bin/kata-agent 4000 400 ;;
        *) run_program ;;
        esac
}

programs_are_there() {
        assert_contains "$(ls "$PROGRAMS")" test-container-live
}

t "test programs are there" programs_are_there
for program in "$PROGRAMS"/test-*; do
        PROGRAM=${program##*/}
        case $PROGRAM in
        # Ten thousand processes, an hour on an emulated CPU.
        *-cycles-live) t_live "$PROGRAM" run_cycles ;;
        # The agent as a process of the node: no machine, no controllers.
        *-parallel-live | *-stuck-live) t_live "$PROGRAM" run_program ;;
        # With a machine; 76-containerd makes the same calls.
        *-task-live) t_live "$PROGRAM" run_program ;;
        *) t "$PROGRAM" run_program ;;
        esac
done
