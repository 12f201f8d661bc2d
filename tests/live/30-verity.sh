#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A guest image with a flipped byte is not used, one with a signature that is missing or wrong neither,
# and the journal or the command says why. Other tools read the image as well.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

NODE_CONF=/etc/kata/kata.conf.d/90-test.conf
SHARE=/usr/share/kata

# param KEY: a value of the installed guest.params.
param() {
        sed -n "s/^$1=//p" "$SHARE/guest.params"
}

# image_conf LINE...: the [Image] section of this test.
image_conf() {
        mkdir -p "${NODE_CONF%/*}"
        trap 'rm -f "$NODE_CONF"' EXIT
        {
                echo '[Image]'
                printf '%s\n' "$@"
        } >"$NODE_CONF"
}

# flip FILE OFFSET: changes one bit.
flip() {
        local byte
        byte=$(od -An -tu1 -j "$2" -N 1 "$1")
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# flipped_copy OFFSET: $T_WORK/guest.img with one byte changed, in use for this test. The files beside it are
# the installed ones.
flipped_copy() {
        chmod 755 "$T_DIR" "$T_WORK"
        cp "$SHARE"/guest.* "$T_WORK/"
        flip "$T_WORK/guest.img" "$1"
        image_conf "Image=$T_WORK/guest.img"
}

# Offset of the agent's text in the image: it is read before anything can work.
agent_offset() {
        local needle
        needle=$(strings -n 12 /usr/bin/kata-agent 2>/dev/null | grep -m 1 'kata-agent ' || true)
        [[ -n $needle ]] || needle=GetGuestDetails
        grep -abo -m 1 -F -- "$needle" "$SHARE/guest.img" | head -n 1 | cut -d: -f1
}

flipped_data_block() {
        local offset
        offset=$(agent_offset)
        [[ -n $offset ]] || fail "the agent's text was not found in the image"
        flipped_copy "$offset"
        assert_fails kata-image verify --image "$T_WORK/guest.img"
        assert_contains "$RUN_OUTPUT" "data block $(((offset - $(param root_offset)) / 4096)) "
        simple_sandbox flip '/bin/sleep 1000'
        assert_fails timeout "$((120 * T_SCALE))" systemctl start kata-sandbox@flip
        assert_journal KATA_SANDBOX_ID=flip KATA_COMPONENT=console "MESSAGE~(data block [0-9]+ is corrupted|dm-verity device corrupted)"
        assert_contains "$(unit_property kata-sandbox@flip StatusText)" "panic"
        assert_no_journal KATA_SANDBOX_ID=flip KATA_COMPONENT=container
}

flipped_superblock() {
        flipped_copy $(($(param root_offset) + 1100))
        simple_sandbox flips '/bin/sleep 1000'
        assert_fails timeout "$((120 * T_SCALE))" systemctl start kata-sandbox@flips
        assert_journal KATA_SANDBOX_ID=flips KATA_COMPONENT=console "MESSAGE~(corrupted|Kernel panic)"
}

flipped_root_of_the_tree() {
        flipped_copy $(($(param root_offset) + $(param hash_offset)))
        simple_sandbox flipt '/bin/sleep 1000'
        assert_fails timeout "$((120 * T_SCALE))" systemctl start kata-sandbox@flipt
        assert_contains "$(unit_property kata-sandbox@flipt StatusText)" "does not match"
}

# The first block below the top has the digests of the first data blocks.
flipped_hash_block() {
        flipped_copy $(($(param root_offset) + $(param hash_offset) + 4096))
        assert_fails kata-image verify --image "$T_WORK/guest.img"
        assert_contains "$RUN_OUTPUT" "hash block 1 (level 0, "
        simple_sandbox fliph '/bin/sleep 1000'
        assert_fails timeout "$((120 * T_SCALE))" systemctl start kata-sandbox@fliph
        assert_journal KATA_SANDBOX_ID=fliph KATA_COMPONENT=console "MESSAGE~(metadata block [0-9]+ is corrupted|dm-verity device corrupted)"
}

# What the guest never reads is refused by the tool.
flipped_tables() {
        local verity=$(($(param root_offset) + $(param hash_offset) - 4096))
        flipped_copy "$verity"
        assert_fails kata-image verify --image "$T_WORK/guest.img"
        assert_contains "$RUN_OUTPUT" "dm-verity superblock does not agree with the parameters: signature"
        flipped_copy 1040
        assert_fails kata-image verify --image "$T_WORK/guest.img"
        assert_contains "$RUN_OUTPUT" "checksum of the primary entries does not match"
        cp "$SHARE/guest.img" "$T_WORK/guest.img"
        flip "$T_WORK/guest.spdx.json" 100
        assert_fails kata-image verify --image "$T_WORK/guest.img"
        assert_contains "$RUN_OUTPUT" "was changed: its SHA-256 is not that of"
}

# make_signature: image.crt, other.crt and guest.roothash.p7s of the installed image in $T_WORK, by openssl(1).
make_signature() {
        local name
        need_program openssl
        cd "$T_WORK"
        for name in image other; do
                openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                        -subj "/CN=$name" -keyout "$name.key" -out "$name.crt"
        done
        printf %s "$(param root_hash)" >roothash
        openssl smime -sign -nocerts -noattr -binary -in roothash -inkey image.key -signer image.crt \
                -outform der -out guest.roothash.p7s
}

# refused_with TEXT: a sandbox does not start, and says so before anything else is started.
refused_with() {
        simple_sandbox sig '/bin/sleep 1000'
        assert_fails timeout "$((60 * T_SCALE))" systemctl start kata-sandbox@sig
        assert_contains "$(unit_property kata-sandbox@sig StatusText)" "$1"
        assert_no_journal KATA_SANDBOX_ID=sig KATA_COMPONENT=console
}

signed_image_starts() {
        make_signature
        image_conf "Certificate=$T_WORK/image.crt" "Signature=$T_WORK/guest.roothash.p7s"
        simple_sandbox sig '/bin/sleep 1000'
        start_sandbox sig
        stop_sandbox sig
        assert_status 0 kata-image verify --certificate image.crt --signature guest.roothash.p7s
        assert_contains "$RUN_OUTPUT" "signed by CN=image"
}

signature_by_another() {
        make_signature
        image_conf "Certificate=$T_WORK/other.crt" "Signature=$T_WORK/guest.roothash.p7s"
        refused_with "guest.roothash.p7s': signed by a certificate that is not trusted"
}

signature_tampered() {
        make_signature
        flip guest.roothash.p7s $(($(stat -c %s guest.roothash.p7s) - 1))
        image_conf "Certificate=$T_WORK/image.crt" "Signature=$T_WORK/guest.roothash.p7s"
        refused_with "guest.roothash.p7s': the signature is not one of root hash"
}

signature_missing() {
        make_signature
        image_conf "Certificate=$T_WORK/image.crt"
        refused_with "signature '/usr/share/kata/guest.roothash.p7s' can not be read: No such file"
}

intact_image_verifies() {
        assert_status 0 kata-image verify
        assert_contains "$RUN_OUTPUT" "data blocks match the root hash"
        assert_status 0 kata-image inspect --json
        jq -e '.partitions | length == 2' <<<"$RUN_OUTPUT"
        assert_eq "$(jq -r .verity.rootHash <<<"$RUN_OUTPUT")" "$(param root_hash)"
        jq -e '.manifest.files[] | select(.path == "/usr/bin/kata-agent")' <<<"$RUN_OUTPUT"
        # The agent is static; what is in it is named all the same.
        jq -e '.manifest.packages[] | select(.name == "libc6-dev") | .version' <<<"$RUN_OUTPUT"
}

# uuid_of FIRST: 32 digits of the root hash from there, as a UUID.
uuid_of() {
        local h
        h=$(param root_hash)
        h=${h:$1:32}
        echo "${h:0:8}-${h:8:4}-${h:12:4}-${h:16:4}-${h:20}"
}

veritysetup_reads_it() {
        local root verity
        need_program veritysetup
        root=$(param root_offset)
        verity=$((root + $(param hash_offset) - 4096))
        cd "$T_WORK"
        dd if="$SHARE/guest.img" of=root bs=4096 skip=$((root / 4096)) count="$(param data_blocks)" status=none
        dd if="$SHARE/guest.img" of=verity bs=4096 skip=$((verity / 4096)) status=none
        assert_status 0 veritysetup dump verity
        assert_match "$RUN_OUTPUT" "Data blocks:[[:space:]]+$(param data_blocks)"
        assert_contains "$RUN_OUTPUT" "$(param salt)"
        assert_status 0 veritysetup verify root verity "$(param root_hash)"
        flip root 5000
        assert_fails veritysetup verify root verity "$(param root_hash)"
}

sfdisk_reads_it() {
        need_program sfdisk
        assert_status 0 sfdisk --json "$SHARE/guest.img"
        assert_eq "$(jq -r '.partitiontable.partitions[0].uuid' <<<"$RUN_OUTPUT" | tr A-F a-f)" "$(uuid_of 0)"
        assert_eq "$(jq -r '.partitiontable.partitions[1].uuid' <<<"$RUN_OUTPUT" | tr A-F a-f)" "$(uuid_of 32)"
        assert_status 0 sfdisk --verify "$SHARE/guest.img"
        assert_contains "$RUN_OUTPUT" "No errors detected"
}

systemd_repart_reads_it() {
        need_program systemd-repart
        mkdir "$T_WORK/definitions"
        # Version 252 looks at no partition without a definition.
        printf '[Partition]\nType=root-x86-64\nSizeMinBytes=4096\n' >"$T_WORK/definitions/10-root.conf"
        printf '[Partition]\nType=root-x86-64-verity\nSizeMinBytes=4096\n' >"$T_WORK/definitions/20-verity.conf"
        run systemd-repart --definitions="$T_WORK/definitions" --json=short "$SHARE/guest.img"
        assert_contains "$RUN_OUTPUT" '"type":"root-x86-64"'
        assert_contains "$RUN_OUTPUT" '"type":"root-x86-64-verity"'
        assert_contains "$RUN_OUTPUT" "\"uuid\":\"$(uuid_of 32)\""
}

systemd_dissect_reads_it() {
        need_program systemd-dissect
        [[ -c /dev/loop-control ]] || skip "no loop devices in this node"
        assert_status 0 systemd-dissect --json=short --root-hash="$(param root_hash)" "$SHARE/guest.img"
        assert_contains "$RUN_OUTPUT" "$(uuid_of 0)"
        assert_contains "$RUN_OUTPUT" '"designator":"root"'
        assert_contains "$RUN_OUTPUT" '"verity":"yes"'
}

t_live "the intact image verifies" intact_image_verifies
t_live "veritysetup reads the image" veritysetup_reads_it
t_live "sfdisk reads the image" sfdisk_reads_it
t_live "systemd-repart reads the image" systemd_repart_reads_it
t "systemd-dissect reads the image" systemd_dissect_reads_it
t "flipped byte in a data block" flipped_data_block
t_live "flipped byte in the superblock" flipped_superblock
t_live "flipped byte in the top of the hash tree" flipped_root_of_the_tree
t "flipped byte below the top of the hash tree" flipped_hash_block
t_live "flipped bytes in tables and manifest" flipped_tables
t_live "an image with a valid signature starts" signed_image_starts
t_live "a signature by somebody else" signature_by_another
t_live "a changed signature" signature_tampered
t_live "no signature where one is demanded" signature_missing
