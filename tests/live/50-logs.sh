#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Container output in the journal: floods, hostile bytes, long lines.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

NODE_CONF=/etc/kata/kata.conf.d/90-test.conf

# arrived ID REGEX: lines of that form in the journal.
arrived() {
        journalctl --sync
        journalctl --quiet --all --output=cat --since="@$((T_SINCE / 1000000))" KATA_SANDBOX_ID="$1" \
                KATA_COMPONENT=container | grep -cE "$2" || true
}

# dropped ID: sum of the drops that were said.
dropped() {
        journalctl --quiet --output=json --since="@$((T_SINCE / 1000000))" KATA_SANDBOX_ID="$1" |
                jq -s 'map(.KATA_DROPPED // "0" | tonumber) | add // 0'
}

flood() {
        local n=100000 lines lost
        # What takes seconds elsewhere takes minutes there.
        ((T_SCALE == 1)) || n=5000
        simple_sandbox quiet "$(ticker tick 0.2)"
        start_sandbox quiet
        simple_sandbox flood "/bin/sh -c 'awk \"BEGIN { for (i = 1; i <= $n; i++) print \\\"flood \\\" i }\"; echo flood is over; exec sleep 1000'"
        start_sandbox flood
        assert_journal --within 60 KATA_SANDBOX_ID=flood MESSAGE="flood is over"
        lines=$(arrived flood '^flood [0-9]+$')
        lost=$(dropped flood)
        echo "$lines lines arrived, $lost are said to be dropped"
        assert_eq "$((lines + lost))" "$n" "lines that arrived and lines that are said to be dropped"
        # The other one went on undisturbed: no number is missing up to the last.
        local ticks
        journalctl --sync
        ticks=$(journal_query KATA_SANDBOX_ID=quiet "MESSAGE~^tick [0-9]+\$" | jq -r .MESSAGE | cut -d' ' -f2)
        assert_eq "$ticks" "$(seq 1 "$(tail -n 1 <<<"$ticks")")" "lines of the other sandbox"
        assert_eq "$(dropped quiet)" 0
        stop_sandbox flood
        stop_sandbox quiet
}

rate_limit_says_what_it_drops() {
        local n=5000 lines lost
        mkdir -p "${NODE_CONF%/*}"
        trap 'rm -f "$NODE_CONF"' EXIT
        printf '[Log]\nRateLimitInterval=3600s\nRateLimitBurst=1000\n' >"$NODE_CONF"
        simple_sandbox limited "/bin/sh -c 'i=0; while [ \$i -lt $n ]; do i=\$((i + 1)); echo n \$i; done; : >/done; exec sleep 1000'"
        start_sandbox limited
        wait_for 60 "all lines to be printed" test -e "$T_WORK/root-limited/done"
        stop_sandbox limited
        lines=$(arrived limited '^n [0-9]+$')
        lost=$(dropped limited)
        echo "$lines lines arrived, $lost are said to be dropped"
        ((lines <= 1000)) || fail "$lines lines passed a limit of 1000"
        assert_eq "$((lines + lost))" "$n" "lines that arrived and lines that are said to be dropped"
}

hostile_bytes() {
        simple_sandbox hostile '/bin/sh /hostile'
        cat >"$T_WORK/root-hostile/hostile" <<'SCRIPT'
echo '_PID=1'
echo 'OBJECT_SYSTEMD_UNIT=dbus.service'
echo 'MESSAGE_ID=ffffffffffffffffffffffffffffffff'
printf 'first\nPRIORITY=0\n_SYSTEMD_UNIT=dbus.service\n\nlast\n'
printf 'nul\000inside\n'
printf 'bad \377\376 utf8\n'
printf 'carriage\rreturn\n'
printf '\033[31mred\033[0m\n'
printf '{"msg":"json","level":"CRIT","source":"kernel"}\n'
echo done hostile
exec sleep 1000
SCRIPT
        start_sandbox hostile
        assert_journal KATA_SANDBOX_ID=hostile MESSAGE="done hostile"
        # Each line is one entry of the container, whatever it looks like.
        local line
        for line in '_PID=1' 'OBJECT_SYSTEMD_UNIT=dbus.service' 'PRIORITY=0' '_SYSTEMD_UNIT=dbus.service' \
                'MESSAGE_ID=ffffffffffffffffffffffffffffffff' 'first' 'last'; do
                assert_journal --count 1 MESSAGE="$line" KATA_COMPONENT=container
                assert_eq "$(journal_field _SYSTEMD_UNIT)" kata-sandbox@hostile.service
                assert_eq "$(journal_field PRIORITY)" 6
                assert_eq "$(journal_field OBJECT_SYSTEMD_UNIT)" ""
                assert_eq "$(journal_field MESSAGE_ID)" ""
        done
        assert_journal KATA_SANDBOX_ID=hostile 'MESSAGE~^nul.inside$'
        assert_journal KATA_SANDBOX_ID=hostile 'MESSAGE~^bad .. utf8$'
        assert_journal KATA_SANDBOX_ID=hostile 'MESSAGE~"level":"CRIT"'
        assert_eq "$(journal_field KATA_COMPONENT)" container
        assert_eq "$(journal_field PRIORITY)" 6
        # None of it is found under another unit.
        run journalctl -u dbus.service --since="@$((T_SINCE / 1000000))" KATA_SANDBOX_ID=hostile --output=cat
        assert_not_contains "$RUN_OUTPUT" "last"
        stop_sandbox hostile
}

hostile_kernel_and_agent_records() {
        # /dev/kmsg is not in a container; a privileged one still could not forge fields: the kernel escapes,
        # the agent wraps, the supervisor whitelists. What is testable from outside: no guest entry has
        # fields other than the known ones.
        simple_sandbox fields "/bin/sh -c 'echo x; exec sleep 1000'"
        start_sandbox fields
        assert_journal KATA_SANDBOX_ID=fields MESSAGE=x
        local unknown
        unknown=$(journal_query KATA_SANDBOX_ID=fields |
                jq -r 'select(.KATA_COMPONENT == "kernel" or .KATA_COMPONENT == "agent" or .KATA_COMPONENT == "container") | keys[]' |
                grep -vE '^(__|_)' | grep -vE '^(KATA_[A-Z_]+|MESSAGE|PRIORITY|SYSLOG_IDENTIFIER|CONTAINER_NAME|CONTAINER_ID_FULL|CONTAINER_PARTIAL_MESSAGE)$' | sort -u || true)
        assert_eq "$unknown" "" "fields of guest entries"
        stop_sandbox fields
}

long_line() {
        local total
        simple_sandbox long "/bin/sh -c 'head -c 1048576 /dev/zero | tr \"\\\\000\" x; echo; echo end of long; exec sleep 1000'"
        start_sandbox long
        assert_journal --within 30 KATA_SANDBOX_ID=long MESSAGE="end of long"
        journalctl --sync
        total=$(journal_query KATA_SANDBOX_ID=long 'MESSAGE~^x+$' | jq -r '.MESSAGE | length' | awk '{ s += $1 } END { print s }')
        assert_eq "$total" 1048576 "bytes of the long line"
        assert_journal KATA_SANDBOX_ID=long CONTAINER_PARTIAL_MESSAGE=true
        stop_sandbox long
}

tail_is_not_lost() {
        simple_sandbox tail "/bin/sh -c 'i=0; while [ \$i -lt 2000 ]; do i=\$((i + 1)); echo t \$i; done; printf without-newline'"
        run systemctl start kata-sandbox@tail
        wait_for 60 "the unit to end" bash -c '[[ $(systemctl is-active kata-sandbox@tail) == inactive ]]'
        assert_eq "$(arrived tail '^t [0-9]+$')" 2000
        assert_journal KATA_SANDBOX_ID=tail MESSAGE=without-newline
}

journald_restart() {
        simple_sandbox jrestart "$(ticker j 0.1)"
        start_sandbox jrestart
        assert_journal KATA_SANDBOX_ID=jrestart MESSAGE="j 5"
        systemctl restart systemd-journald
        assert_journal --within 20 KATA_SANDBOX_ID=jrestart MESSAGE="j 60"
        assert_eq "$(unit_property kata-sandbox@jrestart NRestarts)" 0 "restarts"
        stop_sandbox jrestart
}

t "many lines as fast as possible" flood
t_live "the rate limit says what it drops" rate_limit_says_what_it_drops
t "hostile bytes" hostile_bytes
t "fields of guest entries" hostile_kernel_and_agent_records
t "a line of 1 MiB" long_line
t "the tail of the output" tail_is_not_lost
t_live "journald restarts" journald_restart
