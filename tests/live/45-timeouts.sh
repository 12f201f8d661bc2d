#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Deadlines of kata.conf that are longer than those of the unit.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

NODE_CONF=/etc/kata/kata.conf.d/90-test.conf
UNIT_CONF=/run/systemd/system/kata-sandbox@.service.d/90-test.conf

unit_waits_for_the_deadlines() {
        mkdir -p "${NODE_CONF%/*}" "${UNIT_CONF%/*}"
        trap 'rm -rf "$NODE_CONF" "${UNIT_CONF%/*}"; systemctl daemon-reload' EXIT
        # A unit that would give up at once, and a configuration that gives it time.
        printf '[Service]\nTimeoutStopSec=1s\nWatchdogSec=2s\n' >"$UNIT_CONF"
        printf '[Agent]\nHealthInterval=10s\nHealthTimeout=20s\n[Stop]\nTimeout=4s\n' >"$NODE_CONF"
        systemctl daemon-reload
        simple_sandbox patient "/bin/sh -c 'trap \"\" TERM; echo deaf; while :; do sleep 1; done'"
        start_sandbox patient
        assert_journal MESSAGE=deaf KATA_SANDBOX_ID=patient
        # Longer than the watchdog of the unit.
        sleep 4
        assert_eq "$(unit_property kata-sandbox@patient NRestarts)" 0 "restarts"
        # Longer than the stop timeout of the unit.
        stop_sandbox patient
        assert_eq "$(unit_property kata-sandbox@patient Result)" success
        assert_journal KATA_SANDBOX_ID=patient "MESSAGE~Sandbox 'patient' stopped"
}

t_live "the unit waits as long as kata.conf says" unit_waits_for_the_deadlines
