#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of each process of a running sandbox.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

NODE_CONF=/etc/kata/kata.conf.d/90-test.conf

vmm_pid() {
        pgrep -f -- "qemu-system-x86_64.*$1" | head -n 1
}

vmm_killed() {
        local began ended
        simple_sandbox vmmkill '/bin/sleep 1000'
        start_sandbox vmmkill
        kill -KILL "$(vmm_pid vmmkill)"
        began=$(date +%s%N)
        wait_for 10 "the unit to fail" systemctl is-failed kata-sandbox@vmmkill
        ended=$(date +%s%N)
        echo "the unit failed after $(((ended - began) / 1000000)) ms"
        assert_contains "$(unit_property kata-sandbox@vmmkill StatusText)" "KILL"
        assert_journal KATA_SANDBOX_ID=vmmkill "MESSAGE~failed.*KILL"
        assert_eq "$(systemctl is-active kata-vm-vmmkill.scope || true)" inactive
        stop_sandbox_quietly vmmkill
}

# A failed unit may be stopped as well.
stop_sandbox_quietly() {
        assert_status 0 timeout "$((60 * T_SCALE))" systemctl stop "kata-sandbox@$1"
}

scope_killed() {
        simple_sandbox scopekill '/bin/sleep 1000'
        start_sandbox scopekill
        systemctl kill --signal=KILL kata-vm-scopekill.scope
        wait_for 10 "the unit to fail" systemctl is-failed kata-sandbox@scopekill
        assert_contains "$(unit_property kata-sandbox@scopekill StatusText)" "KILL"
}

# shellcheck disable=SC2016 # for the container's shell
COUNTER=$(ticker line 0.1 'echo pid $$ seen by init')

last_line() {
        journal_query KATA_SANDBOX_ID="$1" "MESSAGE~^line [0-9]+\$" | tail -n 1 | jq -r .MESSAGE | cut -d' ' -f2
}

supervisor_killed() {
        local vmm main before after n
        simple_sandbox supkill "$COUNTER"
        start_sandbox supkill
        assert_journal KATA_SANDBOX_ID=supkill MESSAGE="line 5"
        vmm=$(vmm_pid supkill)
        main=$(unit_property kata-sandbox@supkill MainPID)
        kill -KILL "$main"
        assert_journal --within 20 KATA_SANDBOX_ID=supkill "MESSAGE~took over the running machine"
        wait_for 10 "the unit to be active" systemctl is-active kata-sandbox@supkill
        [[ $(unit_property kata-sandbox@supkill MainPID) != "$main" ]] || fail "same main process"
        assert_eq "$(vmm_pid supkill)" "$vmm" "pid of the VMM"
        before=$(last_line supkill)
        n=$((before + 20))
        assert_journal --within 20 KATA_SANDBOX_ID=supkill MESSAGE="line $n"
        # The container is the one that was started: it said its pid once.
        assert_journal --count 1 KATA_SANDBOX_ID=supkill "MESSAGE~^pid .* seen by init"
        # Nothing was lost on the way: every number is there.
        after=$(journal_query KATA_SANDBOX_ID=supkill "MESSAGE~^line [0-9]+\$" | jq -r .MESSAGE |
                cut -d' ' -f2 | sort -nu | awk -v n="$n" '$1 <= n' | wc -l)
        assert_eq "$after" "$n" "number of different lines"
        stop_sandbox supkill
}

supervisor_killed_twice() {
        simple_sandbox supkill2 "$COUNTER"
        start_sandbox supkill2
        local i main
        for i in 1 2; do
                main=$(unit_property kata-sandbox@supkill2 MainPID)
                kill -KILL "$main"
                assert_journal --within 20 --count "$i" KATA_SANDBOX_ID=supkill2 "MESSAGE~took over the running machine"
                wait_for 10 "the unit to be active" systemctl is-active kata-sandbox@supkill2
        done
        stop_sandbox supkill2
}

supervisor_killed_then_stop_at_once() {
        simple_sandbox supstop '/bin/sleep 1000'
        start_sandbox supstop
        kill -KILL "$(unit_property kata-sandbox@supstop MainPID)"
        stop_sandbox_quietly supstop
        wait_for 10 "the scope to be gone" bash -c '! systemctl is-active kata-vm-supstop.scope'
        assert_eq "$(vmm_pid supstop)" "" "VMM"
}

supervisor_killed_while_booting() {
        simple_sandbox bootkill '/bin/sleep 1000'
        systemctl start --no-block kata-sandbox@bootkill
        wait_for 20 "the VMM" pgrep -f -- 'qemu-system-x86_64.*bootkill'
        kill -KILL "$(unit_property kata-sandbox@bootkill MainPID)"
        # Restart= starts it anew, with a machine of its own.
        wait_for 60 "the unit to be active" systemctl is-active kata-sandbox@bootkill
        assert_eq "$(pgrep -fc -- 'qemu-system-x86_64.*bootkill')" 1 "number of machines"
        stop_sandbox bootkill
}

virtiofsd_killed() {
        simple_sandbox fskill '/bin/sleep 1000'
        start_sandbox fskill
        pkill -KILL -f -- 'virtiofsd.*fskill'
        wait_for 10 "the unit to fail" systemctl is-failed kata-sandbox@fskill
        assert_contains "$(unit_property kata-sandbox@fskill StatusText)" virtiofsd
}

vmm_stopped_by_signal() {
        mkdir -p "${NODE_CONF%/*}"
        trap 'rm -f "$NODE_CONF"' EXIT
        printf '[Agent]\nHealthInterval=%ds\nHealthTimeout=%ds\n' "$((2 * T_SCALE))" "$((4 * T_SCALE))" >"$NODE_CONF"
        simple_sandbox hang '/bin/sleep 1000'
        start_sandbox hang
        kill -STOP "$(vmm_pid hang)"
        wait_for 90 "the unit to fail" systemctl is-failed kata-sandbox@hang
        assert_contains "$(unit_property kata-sandbox@hang StatusText)" "health check"
}

container_out_of_memory() {
        busybox_root "$T_WORK/root"
        write_sandbox_conf oom <<CONF
[Container main]
RootDirectory=$T_WORK/root
Command=/bin/dd if=/dev/zero of=/dev/null bs=100M count=1
Memory=32M
CONF
        run systemctl start kata-sandbox@oom
        wait_for 30 "the unit to fail" systemctl is-failed kata-sandbox@oom
        assert_eq "$(unit_property kata-sandbox@oom ExecMainStatus)" 137
        assert_journal KATA_SANDBOX_ID=oom KATA_COMPONENT=kernel "MESSAGE~Killed process"
}

t "kill -9 of the VMM" vmm_killed
t_live "kill of the scope" scope_killed
t "kill -9 of the supervisor: the machine is taken over" supervisor_killed
t_live "kill -9 of the supervisor twice" supervisor_killed_twice
t "kill -9 of the supervisor, then stop" supervisor_killed_then_stop_at_once
t "kill -9 of the supervisor while booting" supervisor_killed_while_booting
t_live "kill -9 of virtiofsd" virtiofsd_killed
t_live "a VMM that hangs" vmm_stopped_by_signal
t "a container that runs out of memory" container_out_of_memory
