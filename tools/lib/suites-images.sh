# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Parts of the guest suite: the debug extension, and the guest image by the road of mkosi.

suite_guest_mkosi() {
        local failed=$RESULT_FAILED image=$1 install=$2 mkosi
        suite_log guest-mkosi
        result_command "guest image builds with mkosi" "$REPLY" guest_mkosi_get
        ((RESULT_FAILED == failed)) || return 0
        guest_mkosi_get
        mkosi=$REPLY
        suite_log guest-mkosi-verify
        result_command "the image of mkosi matches its root hash" "$REPLY" guest_mkosi_verify "$mkosi" "$install"
        suite_log guest-mkosi-content
        result_command "both roads lead to the same agent and libraries" "$REPLY" \
                guest_same_content "$image" "$mkosi"
}

guest_mkosi_verify() {
        tree_get "$GUEST_RELEASE"
        enter --root "$REPLY" --over "$2" --ro "$1:/image" -- \
                kata-image verify --image /image/guest-mkosi.raw --params /image/guest-mkosi.params
}

# Every file of the one is in the other with the same bytes; mkosi insists on an os-release file.
guest_same_content() {
        tree_get "$GUEST_RELEASE"
        enter --root "$REPLY" --ro "$1:/first" --ro "$2:/second" -- /bin/sh -euc '
                value() {
                        sed -n "s/^$1=//p" "$2"
                }
                extract() {
                        offset=$(value root_offset "$2")
                        dd if="$1" of="$3.erofs" bs=4096 skip=$((${offset:-0} / 4096)) \
                                count="$(value data_blocks "$2")" status=none
                        fsck.erofs --extract="$3" "$3.erofs"
                        cd "$3"
                        find . -type f ! -path ./usr/lib/os-release -print0 | sort -z | xargs -0 sha256sum >"$3.sums"
                        find . -type l -printf "%p -> %l\n" | sort >>"$3.sums"
                        find . -type d -printf "%M %U %G %p\n" | sort >>"$3.sums"
                }
                extract /first/guest.img /first/guest.params /tmp/first
                extract /second/guest-mkosi.raw /second/guest-mkosi.params /tmp/second
                grep " ./usr/bin/kata-agent$" /tmp/first.sums
                diff -u /tmp/first.sums /tmp/second.sums
        '
}

suite_guest_debug() {
        local failed=$RESULT_FAILED install=$1 image
        suite_log guest-debug
        result_command "debug extension builds" "$REPLY" guest_debug_get
        ((RESULT_FAILED == failed)) || return 0
        guest_debug_get
        image=$REPLY
        suite_log guest-debug-again
        result_command "debug extension matches its root hash; a second build, by an ordinary user, is identical" \
                "$REPLY" guest_debug_again "$image" "$install"
}

guest_debug_again() {
        tree_get "$GUEST_RELEASE"
        enter --root "$REPLY" --over "$2" --ro "$1:/image" --uid "$BUILD_UID" -- /bin/sh -euc '
                kata-image verify --image /image/guest-debug.img --params /image/guest-debug.params
                mkdir /tmp/again
                kata-image build-debug --root / --output-dir /tmp/again
                for file in /image/*; do
                        cmp "$file" "/tmp/again/${file##*/}"
                done
        '
}
