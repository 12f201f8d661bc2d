#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Debug=yes: the extension image, shells through the debug socket, their end; and nothing of it without.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

NODE_CONF=/etc/kata/kata.conf.d/90-test.conf

# in_guest ID COMMAND...: one session with these lines; what the terminal showed is in RUN_OUTPUT, without CR.
in_guest() {
        local id=$1
        shift
        printf '%s\n' "$@" >"$T_WORK/lines"
        # The end of the input reaches the shell; socat waits for its last output.
        run timeout "$((60 * T_SCALE))" socat -t "$((60 * T_SCALE))" - \
                "UNIX-CONNECT:/run/kata/$id/debug.sock" <"$T_WORK/lines"
        RUN_OUTPUT=${RUN_OUTPUT//$'\r'/}
        ((RUN_STATUS == 0)) || fail "debug session ended with status $RUN_STATUS"
}

# open_session ID NAME: one that stays; $T_WORK/NAME.in is its keyboard, $T_WORK/NAME.out its screen.
open_session() {
        mkfifo "$T_WORK/$2.in"
        # Read and write: the FIFO has no end while this shell lives.
        exec {KEYBOARD}<>"$T_WORK/$2.in"
        socat - "UNIX-CONNECT:/run/kata/$1/debug.sock" <"$T_WORK/$2.in" >"$T_WORK/$2.out" &
        SESSION=$!
}

shows() {
        grep -qa -- "$2" "$T_WORK/$1.out"
}

gone() {
        ! kill -0 "$1" 2>/dev/null
}

# not_in_guest ID PATTERN: no process of the guest looks like this.
not_in_guest() {
        in_guest "$1" "ps | grep '$2' | grep -v grep; echo looked=\$?" >/dev/null
        [[ $RUN_OUTPUT == *looked=1* ]]
}

tools_work() {
        in_guest "$1" 'uname -r' 'strace -V' 'gdbserver --version' 'ip -V; ip -color=never link' 'ss --version' 'tc -V' \
                'strace -e trace=exit_group /opt/kata-debug/bin/busybox true' 'echo uid=$(id -u) tty=$(tty)' \
                'ls /dev/vdb' 'grep kata-debug /proc/mounts'
        assert_match "$RUN_OUTPUT" $'uname -r\n6\.[0-9]+' "kernel release"
        assert_contains "$RUN_OUTPUT" 'strace -- version'
        assert_contains "$RUN_OUTPUT" 'GNU gdbserver'
        assert_contains "$RUN_OUTPUT" 'ip utility, iproute2'
        assert_contains "$RUN_OUTPUT" 'lo: <LOOPBACK,UP'
        assert_contains "$RUN_OUTPUT" 'ss utility, iproute2'
        assert_contains "$RUN_OUTPUT" 'tc utility, iproute2'
        assert_contains "$RUN_OUTPUT" '+++ exited with 0 +++'
        assert_contains "$RUN_OUTPUT" 'uid=0 tty=/dev/pts/'
        assert_match "$RUN_OUTPUT" $'\n/dev/vdb\n'
        assert_match "$RUN_OUTPUT" '/dev/dm-1 /opt/kata-debug erofs ro,nosuid,nodev'
}

# A second session beside the first; the first is hung up, and with it goes what it started.
sessions_in_parallel() {
        open_session "$1" first
        echo 'sleep 4711 & echo fir"st shell"' >&"$KEYBOARD"
        wait_for 20 "the first session" shows first 'first shell'
        in_guest "$1" "ps | grep 'sleep 471[1]'" 'echo cgroups=$(ls -d /sys/fs/cgroup/kata/debug* | wc -l)'
        assert_contains "$RUN_OUTPUT" 'sleep 4711'
        assert_contains "$RUN_OUTPUT" $'\ncgroups=2\n'
        kill "$SESSION"
        wait_for 20 "the background job of the session to be killed" not_in_guest "$1" 'sleep 4711'
        in_guest "$1" 'echo cgroups=$(ls -d /sys/fs/cgroup/kata/debug* | wc -l)'
        assert_contains "$RUN_OUTPUT" $'\ncgroups=1\n'
}

too_many_sessions() {
        local i pids=()
        for i in 1 2 3 4 5 6 7 8; do
                open_session "$1" "s$i"
                pids+=("$SESSION")
                echo 'echo he"re"' >&"$KEYBOARD"
                wait_for 20 "session $i" shows "s$i" here
        done
        run timeout "$((20 * T_SCALE))" socat -u "UNIX-CONNECT:/run/kata/$1/debug.sock" -
        assert_contains "$RUN_OUTPUT" 'no debug session: there are too many already'
        kill "${pids[@]}"
        # All eight are free again: the ninth and a tenth get a shell.
        wait_for 20 "a session to be free" bash -c "echo 'echo a\"b\"c' | socat -t 20 - \
                UNIX-CONNECT:/run/kata/$1/debug.sock | grep abc"
}

supervisor_killed() {
        open_session "$1" old
        echo 'sleep 4712 & echo o"ld shell"' >&"$KEYBOARD"
        wait_for 20 "the session" shows old 'old shell'
        kill -KILL "$(unit_property "kata-sandbox@$1" MainPID)"
        wait_for 10 "the old session to end" gone "$SESSION"
        assert_journal --within 20 KATA_SANDBOX_ID="$1" "MESSAGE~took over the running machine"
        wait_for 10 "the unit to be active" systemctl is-active "kata-sandbox@$1"
        tools_work "$1"
        wait_for 20 "the job of the old session to be killed" not_in_guest "$1" 'sleep 4712'
}

debug_mode() {
        need_program socat
        simple_sandbox dbg '/bin/sleep 1000' 'Debug=yes'
        start_sandbox dbg
        assert_journal KATA_SANDBOX_ID=dbg MESSAGE_ID=4c12220ac3c14e14b5ebc2d02d1ec54e PRIORITY=5
        assert_eq "$(stat -c '%a %U %F' /run/kata/dbg/debug.sock)" '600 root socket'
        tools_work dbg
        assert_journal KATA_SANDBOX_ID=dbg MESSAGE_ID=a0696d8db83948a6b446c66a5c4a35a9 'MESSAGE~\(socat\) of user 0'
        [[ -n $(journal_field KATA_DEBUG_PEER) ]] || fail "the event does not say who connected"
        assert_journal KATA_SANDBOX_ID=dbg MESSAGE_ID=3321912f25da489e9a6eac06836b797e
        assert_journal KATA_SANDBOX_ID=dbg KATA_COMPONENT=agent 'MESSAGE~Debug session 1 ended: the shell exited'
        sessions_in_parallel dbg
        too_many_sessions dbg
        supervisor_killed dbg
        # A session that is open does not hold up the stop.
        open_session dbg last
        echo 'echo la"st shell"' >&"$KEYBOARD"
        wait_for 20 "the last session" shows last 'last shell'
        stop_sandbox dbg
        wait_for 10 "the session to end" gone "$SESSION"
        [[ ! -e /run/kata/dbg ]] || fail "/run/kata/dbg is left"
}

nothing_of_it_without() {
        local cmdline cid
        simple_sandbox nodbg '/bin/sleep 1000'
        start_sandbox nodbg
        [[ ! -e /run/kata/nodbg/debug.sock ]] || fail "there is a debug socket"
        cmdline=$(tr '\0' '\n' <"/proc/$(pgrep -f -- 'qemu-system-x86_64.*nodbg' | head -n 1)/cmdline")
        assert_contains "$cmdline" 'agent.passfd_listener_port='
        assert_not_contains "$cmdline" 'debug_'
        assert_not_contains "$cmdline" 'vdb'
        assert_not_contains "$cmdline" 'debug-disk'
        assert_no_journal KATA_SANDBOX_ID=nodbg MESSAGE_ID=4c12220ac3c14e14b5ebc2d02d1ec54e
        # Over vsock anyone on the host could try; over serial there is no way around the supervisor.
        cid=$(sed -n 's/^cid=//p' /run/kata/nodbg/vmm.state)
        if [[ -n $cid && $cid != 0 ]]; then
                need_program socat
                assert_fails timeout "$((20 * T_SCALE))" socat -u "VSOCK-CONNECT:$cid:1026" -
                assert_match "$RUN_OUTPUT" '(refused|reset)'
        fi
        stop_sandbox nodbg
}

# use_copy: a copy of the extension, in use for this test.
use_copy() {
        mkdir -p "${NODE_CONF%/*}"
        trap 'rm -f "$NODE_CONF"' EXIT
        chmod 755 "$T_DIR" "$T_WORK"
        cp /usr/share/kata/guest-debug.img "$T_WORK/debug.img"
        printf '[Image]\nDebugImage=%s\n' "$T_WORK/debug.img" >"$NODE_CONF"
}

# flip OFFSET: changes one byte of the copy.
flip() {
        local byte
        byte=$(od -An -tu1 -j "$1" -N 1 "$T_WORK/debug.img")
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\x$(printf %02x $((byte ^ 1)))" |
                dd of="$T_WORK/debug.img" bs=1 seek="$1" conv=notrunc status=none
}

tampered_tree() {
        use_copy
        # The top of the hash tree.
        flip "$(($(sed -n 's/^root_offset=//p' /usr/share/kata/guest-debug.params) + \
                $(sed -n 's/^hash_offset=//p' /usr/share/kata/guest-debug.params)))"
        simple_sandbox dbgt '/bin/sleep 1000' 'Debug=yes'
        assert_fails timeout "$((120 * T_SCALE))" systemctl start kata-sandbox@dbgt
        assert_contains "$(unit_property kata-sandbox@dbgt StatusText)" "debug extension (Debug=yes): "
        assert_contains "$(unit_property kata-sandbox@dbgt StatusText)" "does not match"
        # Nobody else minds.
        simple_sandbox other '/bin/true'
        assert_status 0 timeout "$((120 * T_SCALE))" systemctl start kata-sandbox@other
        rm "$T_WORK/debug.img"
        systemctl reset-failed kata-sandbox@dbgt
        assert_fails timeout "$((120 * T_SCALE))" systemctl start kata-sandbox@dbgt
        assert_contains "$(unit_property kata-sandbox@dbgt StatusText)" "No such file"
}

tampered_data() {
        local offset
        use_copy
        # The superblock of erofs: the agent can not mount without reading it.
        offset=$(LC_ALL=C grep -abo -m 1 -P '\xe2\xe1\xf5\xe0' "$T_WORK/debug.img" | head -n 1 | cut -d: -f1)
        flip "$((offset + 76))"
        assert_fails kata-image verify --image "$T_WORK/debug.img" --params /usr/share/kata/guest-debug.params \
                --manifest /usr/share/kata/guest-debug.spdx.json
        assert_contains "$RUN_OUTPUT" "data block 0 "
        simple_sandbox dbgd '/bin/sleep 1000' 'Debug=yes'
        assert_fails timeout "$((120 * T_SCALE))" systemctl start kata-sandbox@dbgd
        assert_contains "$(unit_property kata-sandbox@dbgd StatusText)" "panic"
        assert_journal KATA_SANDBOX_ID=dbgd KATA_COMPONENT=console "MESSAGE~(data block [0-9]+ is corrupted|dm-verity device corrupted)"
        assert_no_journal KATA_SANDBOX_ID=dbgd KATA_COMPONENT=container
}

# Whoever wants a signature of the guest image wants one of the extension as well.
unsigned_extension() {
        need_program openssl
        mkdir -p "${NODE_CONF%/*}"
        trap 'rm -f "$NODE_CONF"' EXIT
        openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=test -keyout "$T_WORK/key" -out "$T_WORK/crt"
        printf %s "$(sed -n 's/^root_hash=//p' /usr/share/kata/guest.params)" >"$T_WORK/hash"
        openssl smime -sign -nocerts -noattr -binary -in "$T_WORK/hash" -inkey "$T_WORK/key" \
                -signer "$T_WORK/crt" -outform der -out "$T_WORK/p7s"
        printf '[Image]\nCertificate=%s\nSignature=%s\n' "$T_WORK/crt" "$T_WORK/p7s" >"$NODE_CONF"
        simple_sandbox dbgs '/bin/sleep 1000' 'Debug=yes'
        assert_fails timeout "$((120 * T_SCALE))" systemctl start kata-sandbox@dbgs
        assert_match "$(unit_property kata-sandbox@dbgs StatusText)" 'debug extension \(Debug=yes\): .*guest-debug.roothash.p7s'
}

t "shells in a guest with Debug=yes" debug_mode
t_live "without Debug=yes there is no disk, no port, no socket" nothing_of_it_without
t_live "a debug extension that does not match is refused" tampered_tree
t_live "a debug extension without a signature is refused with Certificate=" unsigned_extension
t_live "a flipped byte in the debug extension panics the guest" tampered_data
