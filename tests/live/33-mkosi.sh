#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The guest image that mkosi has built boots as well.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

NODE_CONF=/etc/kata/kata.conf.d/90-test.conf
IMAGE=/usr/share/kata/guest-mkosi.raw
PARAMETERS=/usr/share/kata/guest-mkosi.params

mkosi_image_runs_a_container() {
        assert_status 0 kata-image verify --image "$IMAGE" --params "$PARAMETERS"
        # What is derived here is what the builder wrote.
        assert_status 0 kata-image params --image "$IMAGE" --params "$T_WORK/derived.params"
        assert_status 0 cmp "$T_WORK/derived.params" "$PARAMETERS"
        mkdir -p "${NODE_CONF%/*}"
        trap 'rm -f "$NODE_CONF"' EXIT
        printf '[Image]\nImage=%s\nParameters=%s\n' "$IMAGE" "$PARAMETERS" >"$NODE_CONF"
        simple_sandbox mkosi "/bin/sh -c 'echo from the second road; sleep 1000'"
        start_sandbox mkosi
        assert_journal KATA_SANDBOX_ID=mkosi KATA_COMPONENT=container MESSAGE="from the second road"
        tr '\0' '\n' <"/proc/$(pgrep -f -- 'qemu-system-x86_64.*mkosi' | head -n 1)/cmdline" >"$T_WORK/cmdline"
        assert_contains "$(cat "$T_WORK/cmdline")" " $(sed -n 's/^root_hash=//p' "$PARAMETERS") "
        stop_sandbox mkosi
}

t_live "a sandbox runs from the image that mkosi built" mkosi_image_runs_a_container
