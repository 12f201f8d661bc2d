#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Starts that must fail, each with one clear error in the status of the unit and in the journal.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

NODE_CONF=/etc/kata/kata.conf.d/90-test.conf

# node_conf: a drop-in for this test, from standard input.
node_conf() {
        mkdir -p "${NODE_CONF%/*}"
        trap 'rm -f "$NODE_CONF"' EXIT
        cat >"$NODE_CONF"
}

# fails_with ID TEXT...: the start fails, and both status and journal say each TEXT.
fails_with() {
        local id=$1 status text
        shift
        echo "$id" >>"$T_WORK/sandboxes"
        assert_fails timeout "$((90 * T_SCALE))" systemctl start "kata-sandbox@$id"
        assert_eq "$(systemctl is-active "kata-sandbox@$id" || true)" failed "state of kata-sandbox@$id"
        run systemctl status --lines=0 --full "kata-sandbox@$id"
        status=$(unit_property "kata-sandbox@$id" StatusText)
        run journalctl -u "kata-sandbox@$id" --since="@$((T_SINCE / 1000000))" --output=cat
        for text; do
                assert_contains "$status" "$text" "status of the unit"
                assert_contains "$RUN_OUTPUT" "$text" "journal of the unit"
        done
}

unknown_id() {
        fails_with nobody "/etc/kata/sandboxes/nobody.conf"
}

bad_id() {
        fails_with 'x' "'x' is not a sandbox ID"
}

# journald looks for the unit of whoever wrote when it reads: by then the supervisor has ended.
slow_journal() {
        trap 'systemctl kill --kill-whom=main --signal=CONT systemd-journald' EXIT
        write_sandbox_conf slowjournal <<CONF
[Container main]
Bundle=$T_WORK/no-such-bundle
CONF
        echo slowjournal >>"$T_WORK/sandboxes"
        systemctl kill --kill-whom=main --signal=STOP systemd-journald
        assert_fails timeout "$((90 * T_SCALE))" systemctl start kata-sandbox@slowjournal
        systemctl kill --kill-whom=main --signal=CONT systemd-journald
        journalctl --sync
        assert_contains "$(journalctl -u kata-sandbox@slowjournal --output=cat)" "$T_WORK/no-such-bundle"
        assert_contains "$(kata-runtime logs slowjournal)" "$T_WORK/no-such-bundle"
        assert_contains "$(kata-runtime logs --component supervisor slowjournal)" "$T_WORK/no-such-bundle"
}

missing_bundle() {
        write_sandbox_conf nobundle <<CONF
[Container main]
Bundle=$T_WORK/no-such-bundle
CONF
        fails_with nobundle "$T_WORK/no-such-bundle"
}

bundle_without_config() {
        mkdir "$T_WORK/bundle"
        write_sandbox_conf noconfig <<CONF
[Container main]
Bundle=$T_WORK/bundle
CONF
        fails_with noconfig "$T_WORK/bundle/config.json"
}

malformed_value() {
        write_sandbox_conf badvalue <<CONF
[Sandbox]
Memory=plenty
[Container main]
RootDirectory=/
Command=/bin/true
CONF
        fails_with badvalue "badvalue.conf:2:" Memory plenty
}

unknown_key() {
        write_sandbox_conf badkey <<CONF
[Container main]
RootDirectory=/
Comand=/bin/true
CONF
        fails_with badkey "badkey.conf:3:" Comand
}

malformed_node_conf() {
        simple_sandbox nodeconf '/bin/true'
        node_conf <<CONF
[Machine]
Accelerator=warp
CONF
        fails_with nodeconf "90-test.conf:2:" warp
}

wrong_root_hash() {
        simple_sandbox badhash '/bin/true'
        # The last digit becomes another one.
        sed '/^kernel_verity_params=/d; s/^\(root_hash=.*\)[0-7]$/\1f/; t; s/^\(root_hash=.*\)[8-9a-f]$/\10/' \
                /usr/share/kata/guest.params >"$T_WORK/params"
        node_conf <<CONF
[Image]
Parameters=$T_WORK/params
CONF
        fails_with badhash "does not match"
}

missing_image() {
        simple_sandbox noimage '/bin/true'
        node_conf <<CONF
[Image]
Image=/no/such/guest.img
CONF
        fails_with noimage "/no/such/guest.img"
}

missing_qemu() {
        simple_sandbox noqemu '/bin/true'
        node_conf <<CONF
[Machine]
QemuPath=/no/such/qemu
CONF
        fails_with noqemu "/no/such/qemu"
}

kernel_that_is_none() {
        simple_sandbox nokernel '/bin/true'
        head -c 4096 /dev/urandom >"$T_WORK/vmlinux"
        chmod 755 "$T_WORK" "$(dirname "$T_WORK")"
        node_conf <<CONF
[Image]
Kernel=$T_WORK/vmlinux
CONF
        fails_with nokernel "vmlinux"
}

kernel_panics() {
        simple_sandbox panics '/bin/true' KernelParameters=init=/no/such/init
        fails_with panics "panic"
        assert_journal KATA_COMPONENT=console "MESSAGE~Kernel panic - not syncing" KATA_SANDBOX_ID=panics
}

# The kernel of ours has no modules; what is asked for is named, and nothing runs without it.
module_that_is_not_there() {
        simple_sandbox nomodule '/bin/true' 'KernelModules=loop; no_such_module a=1'
        fails_with nomodule "kernel module no_such_module: the guest kernel has no loadable modules"
}

agent_never_answers() {
        simple_sandbox mute '/bin/true'
        # cat as the agent reads the console for ever.
        kata-image build --agent "$(readlink -f "$(command -v cat)")" --output-dir "$T_WORK/image"
        node_conf <<CONF
[Image]
Image=$T_WORK/image/guest.img
Parameters=$T_WORK/image/guest.params
[Agent]
BootTimeout=$((8 * T_SCALE))s
CONF
        chmod 755 "$T_WORK" "$T_DIR" "$T_WORK/image"
        fails_with mute "the agent did not report within" booting "last console line"
}

command_that_is_not_there() {
        simple_sandbox nocmd '/no/such/command'
        fails_with nocmd "/no/such/command"
}

full_run_directory() {
        need_program mount
        simple_sandbox full '/bin/sleep 1000'
        # A /run/kata without room for the state files.
        mkdir -p /run/kata
        mount -t tmpfs -o size=16k,nr_inodes=6 tmpfs /run/kata
        trap 'systemctl stop kata-sandbox@full; umount /run/kata' EXIT
        assert_fails timeout "$((90 * T_SCALE))" systemctl start kata-sandbox@full
        assert_eq "$(systemctl is-active kata-vm-full.scope || true)" inactive
}

t_live "unknown ID" unknown_id
t_live "an ID that is none" bad_id
t_live "a journal that is slower than the supervisor" slow_journal
t_live "missing bundle" missing_bundle
t_live "bundle without config.json" bundle_without_config
t_live "malformed value: file, line, key" malformed_value
t_live "unknown key: file, line" unknown_key
t_live "malformed node configuration" malformed_node_conf
t_live "root hash that does not match" wrong_root_hash
t_live "missing image" missing_image
t_live "missing QEMU" missing_qemu
t_live "kernel that is none" kernel_that_is_none
t "kernel that panics" kernel_panics
t "agent that never answers" agent_never_answers
t_live "kernel module that is not there" module_that_is_not_there
t_live "command that is not there" command_that_is_not_there
t_live "no room for the state" full_run_directory
