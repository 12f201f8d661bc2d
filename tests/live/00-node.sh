#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The node itself, and the instruments that all other suites rely on.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

node_runs() {
        assert_status 0 systemctl is-system-running
        assert_eq "$(ps -o comm= -p 1)" systemd "PID 1"
        assert_eq "$(stat -f -c %T /sys/fs/cgroup)" cgroup2fs "file system of /sys/fs/cgroup"
}

bus_answers() {
        run busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 \
                org.freedesktop.systemd1.Manager Version
        assert_match "$RUN_OUTPUT" '^s "25'
}

journal_works() {
        logger --journald <<'FIELDS'
MESSAGE=a line of the test
KATA_SANDBOX_ID=t-journal
FIELDS
        assert_journal KATA_SANDBOX_ID=t-journal 'MESSAGE~^a line'
        assert_eq "$(journal_field KATA_SANDBOX_ID)" t-journal
        assert_no_journal KATA_SANDBOX_ID=t-journal 'MESSAGE~something else'
}

vm_has_everything() {
        [[ ${KATA_NODE:-} == vm ]] || skip "only a VM node has a kernel of its own"
        [[ -c /dev/kvm ]] || fail "no /dev/kvm"
        [[ -c /dev/vhost-vsock ]] || fail "no /dev/vhost-vsock"
        assert_contains "$(cat /sys/fs/cgroup/cgroup.controllers)" memory controllers
        assert_contains "$(cat /sys/fs/cgroup/cgroup.controllers)" pids controllers
        modprobe dm_verity
}

leaks_are_found() {
        local dir=$T_WORK/leaks-test kinds
        mkdir -p "$dir/mnt" /run/kata
        "$LEAK_CHECK" baseline "$dir/before"
        assert_status 0 env LEAK_CHECK_SECONDS=0 "$LEAK_CHECK" compare "$dir/before"
        mount -t tmpfs tmpfs "$dir/mnt"
        systemd-run --quiet --unit=kata-leak.service sleep 1000
        systemd-run --quiet --unit=leak-fails.service --service-type=oneshot false || true
        ip link add kata-leak type dummy 2>/dev/null || ip tuntap add dev kata-leak mode tap
        touch /run/kata/leak
        cp /bin/sleep "$dir/virtiofsd"
        "$dir/virtiofsd" 1000 &
        run env LEAK_CHECK_SECONDS=1 "$LEAK_CHECK" compare "$dir/before"
        kinds=$(awk '{ print $2 }' <<<"$RUN_OUTPUT" | sort -u | tr '\n' ' ')
        kill %1
        rm -f /run/kata/leak
        ip link del kata-leak
        umount "$dir/mnt"
        systemctl stop kata-leak.service
        systemctl reset-failed leak-fails.service
        rmdir /run/kata 2>/dev/null || true
        assert_eq "$RUN_STATUS" 1 "status of leak-check"
        assert_eq "$kinds" "cgroup failed-unit file link mount process unit " "kinds of leaks found"
}

units_verify() {
        local units=()
        mapfile -t units < <(find /usr/lib/systemd/system -name 'kata*' -type f)
        ((${#units[@]} > 0)) || skip "no units of ours are installed"
        # A template is checked through an instance.
        assert_status 0 systemd-analyze verify --man=no "${units[@]/%@.service/@test.service}"
        assert_eq "$RUN_OUTPUT" "" "output of systemd-analyze verify"
}

t "systemd runs as PID 1" node_runs
t "the system bus answers" bus_answers
t "the journal takes and gives fields" journal_works
t "a VM node has KVM, vhost-vsock and controllers" vm_has_everything
t "leak-check finds every kind of leak" leaks_are_found
t "units pass systemd-analyze verify" units_verify
