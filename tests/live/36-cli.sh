#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kata-runtime for operators: check, env, logs, top, console, completions.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

NODE_CONF=/etc/kata/kata.conf.d/90-test.conf

finding() {
        jq -r --arg name "$1" '.[] | select(.name == $name) | .level + " " + .text + " " + (.advice // "")' <<<"$RUN_OUTPUT"
}

checks_host() {
        assert_status 0 kata-runtime check --json
        local name
        for name in systemd unit supervisor journal configuration user qemu virtiofsd guest image; do
                assert_contains "$(finding "$name")" 'ok ' "$name"
        done
        assert_contains "$(finding image)" 'matches root hash'
        run kata-runtime check
        assert_match "$RUN_OUTPUT" $'\nok +guest '
}

# write_conf TEXT: a drop-in for this test.
write_conf() {
        mkdir -p "${NODE_CONF%/*}"
        trap 'rm -f "$NODE_CONF"' EXIT
        printf '%s\n' "$@" >"$NODE_CONF"
}

check_says_what_to_do() {
        write_conf '[Machine]' User=nobody-of-that-name QemuPath=/nonexistent
        assert_status 1 kata-runtime check --json
        assert_contains "$(finding user)" "failure there is no user 'nobody-of-that-name'"
        assert_contains "$(finding user)" systemd-sysusers
        assert_contains "$(finding qemu)" /nonexistent
        write_conf '[Machine]' 'Memory=a lot'
        assert_status 1 kata-runtime check --json
        assert_contains "$(finding configuration)" "$NODE_CONF:2: [Machine] Memory=a lot"
        # An image with one byte changed where it counts.
        cp /usr/share/kata/guest.{img,params} "$T_WORK"
        printf 'XYZW' | dd of="$T_WORK/guest.img" bs=1 conv=notrunc status=none \
                seek=$(($(sed -n 's/^root_offset=//p' "$T_WORK/guest.params") + $(sed -n 's/^hash_offset=//p' "$T_WORK/guest.params")))
        write_conf '[Image]' Image="$T_WORK/guest.img" Parameters="$T_WORK/guest.params"
        assert_status 1 kata-runtime check --json
        assert_contains "$(finding guest)" 'does not match root hash'
}

shows_environment() {
        write_conf '[Machine]' Memory=256M
        assert_status 0 kata-runtime env
        assert_contains "$RUN_OUTPUT" "Files=$NODE_CONF"
        assert_match "$RUN_OUTPUT" $'\n\\[Configuration Machine\\]\n(.*\n)*Memory=256M\n'
        assert_status 0 kata-runtime env --json
        assert_eq "$(jq -r .Configuration.Machine.Memory <<<"$RUN_OUTPUT")" 256M
        assert_eq "$(jq -r .Guest.Image <<<"$RUN_OUTPUT")" /usr/share/kata/guest.img
        assert_eq "$(jq -r .Guest.Problem <<<"$RUN_OUTPUT")" null
        assert_eq "$(jq -r .Guest.RootHash <<<"$RUN_OUTPUT")" \
                "$(sed -n 's/^root_hash=//p' /usr/share/kata/guest.params)"
}

errors_are_one_object() {
        assert_status 1 kata-runtime --log "$T_WORK/log" --log-format json logs --since soon web
        assert_contains "$RUN_OUTPUT" "'soon' is no time"
        assert_eq "$(jq -r .level "$T_WORK/log")" error
        assert_contains "$(jq -r .msg "$T_WORK/log")" "'soon' is no time"
        assert_status 3 kata-runtime frobnicate
}

shows_line() {
        kata-runtime logs t-cli | grep -q -- "$1"
}

logs_of_it() {
        wait_for 20 "the container's line" shows_line 'main: hello from inside'
        assert_status 0 kata-runtime logs --component kernel --output cat t-cli
        assert_contains "$RUN_OUTPUT" 'Linux version'
        assert_not_contains "$RUN_OUTPUT" 'hello from inside'
        assert_status 0 kata-runtime logs --component container --component agent -o json -n 1000 t-cli
        assert_eq "$(jq -r 'select(.MESSAGE == "hello from inside") | .KATA_CONTAINER_ID' <<<"$RUN_OUTPUT")" main
        assert_eq "$(jq -r .KATA_COMPONENT <<<"$RUN_OUTPUT" | sort -u | tr '\n' ' ')" 'agent container '
        assert_status 0 kata-runtime logs --lines 2 t-cli
        assert_eq "$(wc -l <<<"$RUN_OUTPUT")" 2
        # Somebody else's entry with our fields.
        printf 'MESSAGE=forged line\nKATA_SANDBOX_ID=t-cli\nKATA_COMPONENT=agent\n' | logger --journald
        assert_journal 'MESSAGE~^forged line$'
        assert_status 0 kata-runtime logs t-cli
        assert_not_contains "$RUN_OUTPUT" 'forged line'
}

top_of_it() {
        assert_status 0 kata-runtime top --json --interval 500ms t-cli
        assert_eq "$(jq -r '.[0].id' <<<"$RUN_OUTPUT")" t-cli
        assert_eq "$(jq -r '.[0].scope' <<<"$RUN_OUTPUT")" kata-vm-t-cli.scope
        (($(jq '.[0].cpuUsec' <<<"$RUN_OUTPUT") > 0)) || fail "no processor time"
        assert_status 0 kata-runtime top --interval 100ms
        assert_match "$RUN_OUTPUT" $'\nt-cli +'
        assert_status 1 kata-runtime top t-nobody
        assert_contains "$RUN_OUTPUT" "sandbox 't-nobody' does not run"
}

console_of_it() {
        echo 'echo $((6 * 7)) from the guest' >"$T_WORK/lines"
        run timeout "$((60 * T_SCALE))" kata-runtime console t-cli <"$T_WORK/lines"
        ((RUN_STATUS == 0)) || fail "console ended with status $RUN_STATUS"
        assert_contains "$RUN_OUTPUT" '42 from the guest'
        assert_status 1 kata-runtime console t-nobody
        assert_contains "$RUN_OUTPUT" 'systemctl start kata-sandbox@t-nobody'
}

logs_top_and_console() {
        simple_sandbox t-cli "/bin/sh -c 'echo hello from inside; exec sleep 1000'" Debug=yes
        start_sandbox t-cli
        logs_of_it
        top_of_it
        console_of_it
        stop_sandbox t-cli
}

# What bash offers for a line that ends like this.
offers() {
        bash --norc -c '
                . /usr/share/bash-completion/completions/kata-runtime.bash
                COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
                _kata_runtime
                printf "%s\n" "${COMPREPLY[@]}"' - "$@"
}

completes_in_bash() {
        assert_contains "$(offers kata-runtime '')" check
        assert_contains "$(offers kata-runtime --log /x lo)" logs
        assert_contains "$(offers kata-runtime logs --o)" --output
        assert_eq "$(offers kata-runtime logs --output j)" json
        mkdir -p /etc/kata/sandboxes
        touch /etc/kata/sandboxes/t-complete.conf
        assert_eq "$(offers kata-runtime console t-comp)" t-complete
        assert_eq "$(offers kata-runtime iptables --sandbox-id t-comp)" t-complete
        rm /etc/kata/sandboxes/t-complete.conf
}

t_live "check finds the host fit" checks_host
t_live "check says what is wrong and what to do" check_says_what_to_do
t_live "env shows the configuration in effect" shows_environment
t_live "errors: one object in the log file, status" errors_are_one_object
t "logs, top and console of a sandbox" logs_top_and_console
t_live "completion in bash" completes_in_bash
