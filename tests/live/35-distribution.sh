#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Kernel=distribution: a sandbox with the kernel that Debian ships, started from an initrd with its
# modules. The initrd is made once for all tests, by the hook that a kernel package runs.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

NODE_CONF=/etc/kata/kata.conf.d/90-test.conf
INITRD_DIR=/var/lib/kata/initrd
POSTINST=/etc/kernel/postinst.d/kata-initrd
POSTRM=/etc/kernel/postrm.d/kata-initrd

# The one that has to be chosen: the newest for clouds.
RELEASE=$(find /usr/lib/modules -mindepth 1 -maxdepth 1 -name '*-cloud-*' -printf '%f\n' |
        sort --version-sort | tail -n 1)
INDEX=/usr/lib/modules/$RELEASE/modules.dep.bin

# node_conf [KEY=VALUE...]: for the rest of the test; lines of [Image].
node_conf() {
        mkdir -p "${NODE_CONF%/*}"
        trap 'rm -f "$NODE_CONF"' EXIT
        # An emulated CPU unpacks this kernel for seconds, and loads its modules for some more.
        printf '%s\n' '[Agent]' "BootTimeout=$((100 * T_SCALE))s" '[Image]' Kernel=distribution "$@" \
                >"$NODE_CONF"
}

# fails_with ID TEXT: the sandbox does not start, and its status says why.
fails_with() {
        assert_fails timeout "$((110 * T_SCALE))" systemctl start "kata-sandbox@$1"
        assert_contains "$(unit_property "kata-sandbox@$1" StatusText)" "$2"
        assert_no_journal KATA_SANDBOX_ID="$1" KATA_COMPONENT=container
        systemctl reset-failed "kata-sandbox@$1"
}

without_initrd() {
        node_conf
        simple_sandbox noinitrd /bin/true
        fails_with noinitrd "$INITRD_DIR/$RELEASE.img for kernel $RELEASE is missing"
        assert_contains "$(journalctl -u kata-sandbox@noinitrd --output=cat)" \
                "run kata-image initrd --kernel-release $RELEASE"
}

without_kernel() {
        node_conf KernelRelease=1.2.3-none
        simple_sandbox nokernel /bin/true
        fails_with nokernel "kernel 1.2.3-none has no image"
        sed -i '/^Kernel=/d' "$NODE_CONF"
        fails_with nokernel "KernelRelease= of kata.conf needs Kernel=distribution"
}

# Who never made an initrd gets none; then each new kernel gets one, and loses it when it goes.
hooks() {
        "$POSTINST" "$RELEASE"
        [[ ! -e $INITRD_DIR ]] || fail "the hook made $INITRD_DIR by itself"
        mkdir -p "$INITRD_DIR"
        trap 'rm -rf "$INITRD_DIR"' EXIT
        touch "$INITRD_DIR/0.img"
        assert_status 0 "$POSTINST" "$RELEASE"
        [[ -s $INITRD_DIR/$RELEASE.img && -s $INITRD_DIR/$RELEASE.img.inputs ]] || fail "no initrd"
        # A kernel without modules does not stop its installation.
        assert_status 0 "$POSTINST" 1.2.3-none
        assert_contains "$RUN_OUTPUT" "kernel 1.2.3-none has no image"
        assert_status 0 "$POSTRM" "$RELEASE"
        assert_eq "$(ls "$INITRD_DIR")" 0.img
}

missing_module() {
        echo 'required no_such_module  test' >"$T_WORK/list"
        assert_status 1 kata-image initrd --modules "$T_WORK/list" --output "$T_WORK/x.img"
        assert_contains "$RUN_OUTPUT" "kernel $RELEASE has no module 'no_such_module'"
        assert_eq "$(find "$T_WORK" -name 'x.img*')" ''
}

same_bytes() {
        assert_status 0 kata-image initrd --kernel-release "$RELEASE" --output "$T_WORK/x.img"
        assert_status 0 cmp "$T_WORK/x.img" "$INITRD_DIR/$RELEASE.img"
        # cpio understands it, and the modules are ELF files.
        assert_contains "$(cpio -t --quiet <"$T_WORK/x.img")" kata/modules.list
        assert_match "$(cpio -i --to-stdout --quiet '*dm_verity.ko' <"$T_WORK/x.img" | head -c 4 | od -An -c)" \
                '177 +E +L +F'
}

# The image has two modules more than the initrd, of which the sandbox wants both: one with a parameter, one with
# dependencies.
# shellcheck disable=SC2016 # the shell is the container's
boots() {
        local output program
        chmod 755 "$T_DIR" "$T_WORK"
        printf 'required nbd  test\nrequired wireguard  test\n' >"$T_WORK/list"
        assert_status 0 kata-image build --modules "$T_WORK/list" --kernel-release "$RELEASE" --output-dir "$T_WORK/image"
        node_conf "Image=$T_WORK/image/guest.img" "Parameters=$T_WORK/image/guest.params"
        program='echo release=$(uname -r); cd /sys/module; echo nbds=$(cat nbd/parameters/nbds_max); '
        program+='echo wireguard=$(cat wireguard/initstate); exec sleep 1000'
        simple_sandbox dist "/bin/sh -c '$program'" 'KernelModules=nbd nbds_max=3; wireguard; overlay'
        start_sandbox dist
        assert_journal KATA_SANDBOX_ID=dist MESSAGE=nbds=3
        assert_journal KATA_SANDBOX_ID=dist MESSAGE=wireguard=live
        assert_journal KATA_SANDBOX_ID=dist KATA_COMPONENT=agent "MESSAGE=3 kernel modules are there"
        assert_journal KATA_SANDBOX_ID=dist "MESSAGE=release=$RELEASE"
        assert_journal KATA_SANDBOX_ID=dist KATA_COMPONENT=kernel "MESSAGE~Linux version ${RELEASE//[+.]/.}"
        assert_journal KATA_SANDBOX_ID=dist KATA_COMPONENT=kernel "MESSAGE~initrd: [0-9]+ modules"
        assert_journal KATA_SANDBOX_ID=dist KATA_COMPONENT=kernel "MESSAGE~initrd: root is /dev/dm-0"
        output=$(journalctl -u kata-sandbox@dist --output=cat)
        assert_contains "$output" "boots kernel $RELEASE of the distribution"
        assert_not_contains "$output" " not loaded: "
        stop_sandbox dist
}

flipped_byte() {
        node_conf "Image=$T_WORK/guest.img"
        chmod 755 "$T_DIR" "$T_WORK"
        local root
        cp /usr/share/kata/guest.img "$T_WORK/guest.img"
        # In the superblock of the file system, which is read first.
        root=$(sed -n 's/^root_offset=//p' /usr/share/kata/guest.params)
        printf '\377' | dd of="$T_WORK/guest.img" bs=1 seek=$((root + 1100)) conv=notrunc status=none
        simple_sandbox distflip /bin/true
        fails_with distflip panic
        assert_journal KATA_SANDBOX_ID=distflip KATA_COMPONENT=console "MESSAGE~data block 0 is corrupted"
        assert_journal KATA_SANDBOX_ID=distflip KATA_COMPONENT=console "MESSAGE~Kernel panic.*dm-verity"
}

out_of_date() {
        node_conf
        touch -r "$INDEX" "$T_WORK/reference"
        trap 'touch -r "$T_WORK/reference" "$INDEX"; rm -f "$NODE_CONF"' EXIT
        touch "$INDEX"
        simple_sandbox stale /bin/true
        fails_with stale "$INDEX has changed since: run kata-image initrd --kernel-release $RELEASE"
}

no_kernel() {
        skip "no cloud kernel in this node"
}

if [[ -z $RELEASE ]]; then
        t "a kernel of the distribution" no_kernel
        exit 0
fi

t_live "without an initrd the error has the command to run" without_initrd
t_live "a pinned kernel that is not there" without_kernel
t_live "a required module that the kernel lacks" missing_module
t_live "hooks of kernel packages make and remove it" hooks
t_set_up kata-image initrd --kernel-release "$RELEASE" >/dev/null 2>&1
t_live "the initrd has the same bytes each time" same_bytes
t "a sandbox runs on the distribution's kernel" boots
t_live "flipped byte in the image" flipped_byte
t_live "an initrd that is out of date is refused" out_of_date
rm -r "$INITRD_DIR"
