#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The whole thread: a unit starts a microVM, a container runs in it, its lines arrive in the journal with
# their fields, the stop leaves nothing.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

start_prints_and_stops() {
        simple_sandbox thread "/bin/sh -c 'echo hello from the container; echo oops >&2; exec sleep 1000'"
        start_sandbox thread
        assert_contains "$(systemctl status --lines=0 kata-sandbox@thread)" 'Status: "Running"'
        assert_journal MESSAGE="hello from the container" _SYSTEMD_UNIT=kata-sandbox@thread.service
        assert_eq "$(journal_field KATA_SANDBOX_ID)" thread
        assert_eq "$(journal_field KATA_CONTAINER_ID)" main
        assert_eq "$(journal_field KATA_COMPONENT)" container
        assert_eq "$(journal_field KATA_STREAM)" stdout
        assert_eq "$(journal_field CONTAINER_NAME)" main
        assert_eq "$(journal_field SYSLOG_IDENTIFIER)" main
        assert_journal MESSAGE=oops KATA_STREAM=stderr KATA_SANDBOX_ID=thread
        assert_journal KATA_COMPONENT=kernel SYSLOG_IDENTIFIER=kata-kernel "MESSAGE~Linux version" \
                KATA_SANDBOX_ID=thread
        assert_match "$(journal_field KATA_GUEST_USEC)" '^[0-9]+$'
        assert_journal KATA_COMPONENT=agent SYSLOG_IDENTIFIER=kata-agent KATA_SANDBOX_ID=thread
        # All of it is found by the unit's name.
        assert_contains "$(journalctl -u kata-sandbox@thread --output=cat)" "hello from the container"
        stop_sandbox thread
        assert_journal KATA_SANDBOX_ID=thread "MESSAGE~Sandbox 'thread' stopped"
}

vmm_is_alone_in_its_scope() {
        local scope=kata-vm-cg.scope cgroup pid names=()
        simple_sandbox cg '/bin/sleep 1000'
        start_sandbox cg
        assert_eq "$(systemctl is-active "$scope")" active
        cgroup=$(unit_property "$scope" ControlGroup)
        while read -r pid; do
                names+=("$(cat "/proc/$pid/comm")")
        done <"/sys/fs/cgroup$cgroup/cgroup.procs"
        # virtiofsd runs in two processes, all others are the VMM.
        for pid in "${names[@]}"; do
                assert_match "$pid" '^(qemu-system-x86|virtiofsd)' "process of the scope"
        done
        assert_contains "${names[*]}" qemu-system-x86
        # The supervisor is not in it, and the service has nothing but the supervisor.
        cgroup=$(unit_property kata-sandbox@cg ControlGroup)
        assert_eq "$(cat "/sys/fs/cgroup$cgroup/cgroup.procs")" "$(unit_property kata-sandbox@cg MainPID)"
        stop_sandbox cg
        assert_eq "$(systemctl is-active "$scope" || true)" inactive
}

vmm_is_confined() {
        local pid status
        simple_sandbox conf '/bin/sleep 1000'
        start_sandbox conf
        pid=$(pgrep -f -- 'qemu-system-x86_64.*conf' | head -n 1)
        status=$(cat "/proc/$pid/status")
        assert_match "$status" "Uid:[[:space:]]+$(id -u kata)[[:space:]]"
        assert_match "$status" 'CapEff:[[:space:]]+0000000000000000'
        assert_match "$status" 'NoNewPrivs:[[:space:]]+1'
        assert_match "$status" 'Seccomp:[[:space:]]+2'
        stop_sandbox conf
}

phases_are_in_the_journal() {
        simple_sandbox phases '/bin/sleep 1000'
        start_sandbox phases
        assert_journal KATA_SANDBOX_ID=phases 'MESSAGE~booting [0-9]+ms'
        assert_journal KATA_SANDBOX_ID=phases 'MESSAGE~transport (vsock|serial)'
        stop_sandbox phases
}

kvm_and_vsock_where_they_work() {
        local transport=serial accelerator=tcg
        [[ ! -c /dev/vhost-vsock ]] || transport=vsock
        # The tools only show a device to a node if KVM works with it.
        if [[ -c /dev/kvm ]] && grep -qwE 'svm|vmx' /proc/cpuinfo; then
                accelerator=kvm
        fi
        simple_sandbox tran '/bin/sleep 1000'
        start_sandbox tran
        assert_journal KATA_SANDBOX_ID=tran KATA_TRANSPORT="$transport"
        assert_eq "$(journal_field KATA_ACCELERATOR)" "$accelerator" "accelerator"
        stop_sandbox tran
}

forced_transport() {
        simple_sandbox ser '/bin/sleep 1000' Transport=serial
        start_sandbox ser
        assert_journal KATA_SANDBOX_ID=ser KATA_TRANSPORT=serial
        stop_sandbox ser
        if [[ ! -c /dev/vhost-vsock ]]; then
                simple_sandbox vso '/bin/sleep 1000' Transport=vsock
                assert_fails systemctl start kata-sandbox@vso
                assert_journal KATA_SANDBOX_ID=vso "MESSAGE~vsock"
        fi
}

exit_status_is_the_result() {
        simple_sandbox exits "/bin/sh -c 'sleep 1; exit 3'"
        run systemctl start kata-sandbox@exits
        wait_for 30 "the unit to fail" systemctl is-failed kata-sandbox@exits
        assert_eq "$(unit_property kata-sandbox@exits ExecMainStatus)" 3
        assert_contains "$(systemctl status --lines=0 kata-sandbox@exits || true)" \
                "container 'main' exited with status 3"
        assert_journal KATA_SANDBOX_ID=exits KATA_EXIT_STATUS=3
}

exit_with_success_is_no_failure() {
        simple_sandbox good "/bin/sh -c 'echo last words'"
        run systemctl start kata-sandbox@good
        wait_for 30 "the unit to end" bash -c '[[ $(systemctl is-active kata-sandbox@good) == inactive ]]'
        assert_journal MESSAGE="last words" KATA_SANDBOX_ID=good
        assert_eq "$(unit_property kata-sandbox@good Result)" success
}

two_containers() {
        busybox_root "$T_WORK/root"
        write_sandbox_conf pair <<CONF
[Container one]
RootDirectory=$T_WORK/root
Command=/bin/sh -c 'echo I am one; exec sleep 1000'
[Container two]
RootDirectory=$T_WORK/root
Command=/bin/sh -c 'echo I am two; exec sleep 1000'
CONF
        start_sandbox pair
        assert_journal MESSAGE="I am one" CONTAINER_NAME=one
        assert_journal MESSAGE="I am two" CONTAINER_NAME=two
        assert_eq "$(pgrep -fc -- 'qemu-system-x86_64.*pair')" 1 "number of machines"
        stop_sandbox pair
}

stop_kills_what_ignores_the_signal() {
        simple_sandbox deaf "/bin/sh -c 'trap \"\" TERM; echo deaf; while :; do sleep 1; done'" StopTimeout=2s
        start_sandbox deaf
        assert_journal MESSAGE=deaf KATA_SANDBOX_ID=deaf
        stop_sandbox deaf
}

twice_the_same_call() {
        simple_sandbox twice '/bin/sleep 1000'
        start_sandbox twice
        start_sandbox twice
        stop_sandbox twice
        stop_sandbox twice
        start_sandbox twice
        stop_sandbox twice
}

t "start, print, stop" start_prints_and_stops
t "the VMM is alone in its scope" vmm_is_alone_in_its_scope
t "the VMM is confined" vmm_is_confined
t_live "phases and their times are in the journal" phases_are_in_the_journal
t "KVM and vsock are used where they work" kvm_and_vsock_where_they_work
t "a transport can be asked for" forced_transport
t_live "a container's exit status is the unit's" exit_status_is_the_result
t_live "an exit with 0 is a success" exit_with_success_is_no_failure
t_live "two containers in one machine" two_containers
t_live "stop kills what ignores the signal" stop_kills_what_ignores_the_signal
t_live "the same call twice" twice_the_same_call
