#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# kata-runtime iptables: the packet filter of a guest whose image has the programs for it (kata-image build --with
# iptables), and of one whose image has not.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

NODE_CONF=/etc/kata/kata.conf.d/90-test.conf

# in_guest LINE...: in a debug session of the sandbox t-filter; the output is in RUN_OUTPUT.
in_guest() {
        printf '%s\n' "$@" >"$T_WORK/lines"
        run timeout "$((60 * T_SCALE))" kata-runtime console t-filter <"$T_WORK/lines"
        ((RUN_STATUS == 0)) || fail "console ended with status $RUN_STATUS"
}

iptables_of() {
        run timeout "$((60 * T_SCALE))" kata-runtime iptables "$@"
}

image_with_iptables() {
        chmod 755 "$T_DIR" "$T_WORK"
        assert_status 0 kata-image build --with iptables --output-dir "$T_WORK/image"
        assert_status 0 kata-image build --with iptables --output-dir "$T_WORK/again"
        assert_status 0 cmp "$T_WORK/image/guest.img" "$T_WORK/again/guest.img"
        assert_status 0 kata-image verify --image "$T_WORK/image/guest.img"
        run kata-image inspect --image "$T_WORK/image/guest.img" --json
        assert_contains "$RUN_OUTPUT" '"iptables"'
        assert_contains "$RUN_OUTPUT" 'libxt_conntrack.so'
        rm -r "$T_WORK/again"
        mkdir -p "${NODE_CONF%/*}"
        trap 'rm -f "$NODE_CONF"' EXIT
        printf '[Image]\nImage=%s\nParameters=%s\n' "$T_WORK/image/guest.img" "$T_WORK/image/guest.params" >"$NODE_CONF"
}

# Packets to port 8081 go to 8080, where somebody listens; those to port 8082 are refused by no one and dropped.
rules_have_an_effect() {
        in_guest 'mkdir /tmp/www; echo a page >/tmp/www/index.html; httpd -p 127.0.0.1:8080 -h /tmp/www' \
                'wget -q -O - http://127.0.0.1:8081/ || echo not" there"'
        assert_contains "$RUN_OUTPUT" 'not there'
        cat >"$T_WORK/rules" <<'RULES'
*nat
-A OUTPUT -d 127.0.0.1/32 -p tcp -m tcp --dport 8081 -j REDIRECT --to-ports 8080
COMMIT
*filter
:WEB - [0:0]
-A OUTPUT -p tcp -m multiport --dports 8083,8084 -m comment --comment "a comment" -j WEB
-A WEB -m conntrack --ctstate NEW -j DROP
COMMIT
RULES
        iptables_of set --sandbox-id t-filter "$T_WORK/rules"
        ((RUN_STATUS == 0)) || fail "$RUN_OUTPUT"
        iptables_of get --sandbox-id t-filter
        ((RUN_STATUS == 0)) || fail "$RUN_OUTPUT"
        assert_contains "$RUN_OUTPUT" '-A OUTPUT -d 127.0.0.1/32 -p tcp -m tcp --dport 8081 -j REDIRECT --to-ports 8080'
        assert_contains "$RUN_OUTPUT" '-A OUTPUT -p tcp -m multiport --dports 8083,8084 -m comment --comment "a comment" -j WEB'
        assert_contains "$RUN_OUTPUT" '-A WEB -m conntrack --ctstate NEW -j DROP'
        printf '%s\n' "$RUN_OUTPUT" | grep -v '^#' >"$T_WORK/saved"
        in_guest 'httpd -p 127.0.0.1:8080 -h /tmp/www 2>/dev/null; wget -q -O - http://127.0.0.1:8081/'
        assert_contains "$RUN_OUTPUT" 'a page'
        # What was saved can be restored, and is the same then; from standard input as well.
        run timeout "$((60 * T_SCALE))" kata-runtime iptables set --sandbox-id t-filter <"$T_WORK/saved"
        ((RUN_STATUS == 0)) || fail "$RUN_OUTPUT"
        iptables_of get --sandbox-id t-filter
        assert_eq "$(printf '%s\n' "$RUN_OUTPUT" | grep -- '^-A')" "$(grep -- '^-A' "$T_WORK/saved")"
}

ipv6_is_apart() {
        printf '*filter\n-A INPUT -s fe80::/10 -j ACCEPT\nCOMMIT\n' >"$T_WORK/rules6"
        iptables_of set --sandbox-id t-filter --v6 "$T_WORK/rules6"
        ((RUN_STATUS == 0)) || fail "$RUN_OUTPUT"
        iptables_of get --sandbox-id t-filter --v6
        assert_contains "$RUN_OUTPUT" '-A INPUT -s fe80::/10 -j ACCEPT'
        assert_not_contains "$RUN_OUTPUT" 8081
}

bad_rules() {
        echo '*filter' >"$T_WORK/rules"
        echo '-A NO_SUCH_CHAIN -j ACCEPT' >>"$T_WORK/rules"
        assert_status 1 kata-runtime iptables set --sandbox-id t-filter "$T_WORK/rules"
        assert_contains "$RUN_OUTPUT" 'iptables-restore'
        assert_status 1 kata-runtime iptables set --sandbox-id t-filter "$T_WORK/no-such-file"
        assert_contains "$RUN_OUTPUT" 'no-such-file: No such file'
}

filters() {
        image_with_iptables
        simple_sandbox t-filter '/bin/sleep 1000' Debug=yes
        start_sandbox t-filter
        assert_eq "$(stat -c '%a %U %F' /run/kata/t-filter/sandbox.sock)" '600 root socket'
        rules_have_an_effect
        ipv6_is_apart
        bad_rules
        # The next supervisor serves it, too.
        kill -KILL "$(unit_property kata-sandbox@t-filter MainPID)"
        assert_journal --within 20 KATA_SANDBOX_ID=t-filter "MESSAGE~took over the running machine"
        wait_for 10 "the unit to be active" systemctl is-active kata-sandbox@t-filter
        iptables_of get --sandbox-id t-filter
        assert_contains "$RUN_OUTPUT" '--to-ports 8080'
        stop_sandbox t-filter
}

without_the_programs() {
        simple_sandbox t-plain '/bin/sleep 1000'
        start_sandbox t-plain
        assert_status 1 kata-runtime iptables get --sandbox-id t-plain
        assert_contains "$RUN_OUTPUT" 'the guest image has no /usr/sbin/iptables-save'
        assert_contains "$RUN_OUTPUT" 'kata-image build --with iptables'
        stop_sandbox t-plain
        assert_status 1 kata-runtime iptables get --sandbox-id t-plain
        assert_contains "$RUN_OUTPUT" "sandbox 't-plain'"
        assert_status 1 kata-runtime iptables get
        assert_contains "$RUN_OUTPUT" 'needs --sandbox-id'
        assert_status 1 kata-runtime iptables show --sandbox-id t-plain
        assert_contains "$RUN_OUTPUT" "takes 'get'"
}

no_iptables() {
        skip "no iptables in this node"
}

if [[ -e /usr/sbin/xtables-nft-multi ]]; then
        t_live "rules of a guest are read and written" filters
else
        t "rules of a guest are read and written" no_iptables
fi
t_live "an image without the programs" without_the_programs
