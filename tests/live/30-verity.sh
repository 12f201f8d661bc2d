#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A guest image with a flipped byte is not used, and the journal says why.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

NODE_CONF=/etc/kata/kata.conf.d/90-test.conf

# flipped_copy OFFSET: $T_WORK/guest.img with one byte changed, in use for this test.
flipped_copy() {
        local byte
        mkdir -p "${NODE_CONF%/*}"
        trap 'rm -f "$NODE_CONF"' EXIT
        chmod 755 "$T_DIR" "$T_WORK"
        cp /usr/share/kata/guest.img "$T_WORK/guest.img"
        byte=$(od -An -tu1 -j "$1" -N 1 "$T_WORK/guest.img")
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\x$(printf %02x $((byte ^ 1)))" |
                dd of="$T_WORK/guest.img" bs=1 seek="$1" conv=notrunc status=none
        printf '[Image]\nImage=%s\n' "$T_WORK/guest.img" >"$NODE_CONF"
}

# Offset of the agent's text in the image: it is read before anything can work.
agent_offset() {
        local needle
        needle=$(strings -n 12 /usr/bin/kata-agent 2>/dev/null | grep -m 1 'kata-agent ' || true)
        [[ -n $needle ]] || needle=GetGuestDetails
        grep -abo -m 1 -F -- "$needle" /usr/share/kata/guest.img | head -n 1 | cut -d: -f1
}

flipped_data_block() {
        local offset
        offset=$(agent_offset)
        [[ -n $offset ]] || fail "the agent's text was not found in the image"
        flipped_copy "$offset"
        assert_fails kata-image verify --image "$T_WORK/guest.img" --params /usr/share/kata/guest.params
        assert_contains "$RUN_OUTPUT" "data block $((offset / 4096)) "
        simple_sandbox flip '/bin/sleep 1000'
        assert_fails timeout "$((120 * T_SCALE))" systemctl start kata-sandbox@flip
        assert_journal KATA_SANDBOX_ID=flip KATA_COMPONENT=console "MESSAGE~(data block [0-9]+ is corrupted|dm-verity device corrupted)"
        assert_contains "$(unit_property kata-sandbox@flip StatusText)" "panic"
        assert_no_journal KATA_SANDBOX_ID=flip KATA_COMPONENT=container
}

flipped_superblock() {
        flipped_copy 1100
        simple_sandbox flips '/bin/sleep 1000'
        assert_fails timeout "$((120 * T_SCALE))" systemctl start kata-sandbox@flips
        assert_journal KATA_SANDBOX_ID=flips KATA_COMPONENT=console "MESSAGE~(corrupted|Kernel panic)"
}

flipped_root_of_the_tree() {
        flipped_copy "$(sed -n 's/^hash_offset=//p' /usr/share/kata/guest.params)"
        simple_sandbox flipt '/bin/sleep 1000'
        assert_fails timeout "$((120 * T_SCALE))" systemctl start kata-sandbox@flipt
        assert_contains "$(unit_property kata-sandbox@flipt StatusText)" "does not match"
}

intact_image_verifies() {
        assert_status 0 kata-image verify
}

t "the intact image verifies" intact_image_verifies
t "flipped byte in a data block" flipped_data_block
t "flipped byte in the superblock" flipped_superblock
t "flipped byte in the top of the hash tree" flipped_root_of_the_tree
