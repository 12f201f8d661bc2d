#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The network of sandboxes: what a network namespace has becomes the guest's, and is the namespace's again afterwards.
set -euo pipefail
# shellcheck source=tests/live/lib.sh
. "$(dirname "$0")/lib.sh"

RT=kata-runtime
NS=t72

# namespace: t72 with eth0, whose peer is v72 of this node.
namespace() {
        trap remove_namespace EXIT
        ip netns add "$NS"
        ip link add v72 type veth peer name eth0 address 02:00:00:00:72:01 netns "$NS"
        ip link set v72 mtu 1400
        ip address add 10.72.0.1/24 dev v72
        ip address add fd72::1/64 dev v72 nodad
        ip link set v72 up
        ip -n "$NS" link set lo up
        ip -n "$NS" link set eth0 mtu 1400
        ip -n "$NS" address add 10.72.0.2/24 dev eth0
        ip -n "$NS" address add fd72::2/64 dev eth0 nodad
        ip -n "$NS" link set eth0 up
        ip -n "$NS" route add default via 10.72.0.1
        ip -n "$NS" route add 10.99.0.0/16 via 10.72.0.7 mtu 1300
        ip -n "$NS" neighbour add 10.72.0.7 lladdr 02:00:00:00:72:07 dev eth0 nud permanent
}

remove_namespace() {
        local config
        for config in "$T_WORK"/*/config.json; do
                [[ ! -e $config ]] || "$RT" delete --force "$(basename "$(dirname "$config")")"
        done
        t_clean_up
        ip link delete v72 2>/dev/null || true
        ip link delete w72 2>/dev/null || true
        ip netns delete "$NS" 2>/dev/null || true
}

# What sandboxes add to the namespace.
additions() {
        local link
        ip -n "$NS" -o link show | grep -o 'kata[0-9]*' || true
        for link in eth0 eth1; do
                tc -n "$NS" qdisc show dev "$link" 2>/dev/null | grep ingress || true
        done
}

assert_as_before() {
        wait_for 10 "the namespace to be as it was" eval '[[ -z $(additions) ]]'
}

# bundle NAME: a container that is in the namespace, and waits.
bundle() {
        local dir=$T_WORK/$1
        mkdir -p "$dir"
        busybox_root "$dir/rootfs"
        (cd "$dir" && "$RT" spec)
        jq --arg path "/run/netns/$NS" '.process.terminal = false | .process.args = ["/bin/sleep", "1000"]
                | .process.capabilities[] += ["CAP_NET_RAW"]
                | (.linux.namespaces[] | select(.type == "network")).path = $path
                | .root.readonly = false' "$dir/config.json" >"$dir/new"
        mv "$dir/new" "$dir/config.json"
        echo "$1" >>"$T_WORK/sandboxes"
}

guest() {
        "$RT" exec net1 /bin/sh -c "$1"
}

reachable() {
        busybox ping -c 1 -W 2 "$1"
}

from_outside() {
        local sum
        wait_for 20 "an answer to a ping" reachable 10.72.0.2
        wait_for 20 "an answer to a ping over IPv6" reachable fd72::2
        head -c 1000000 /dev/urandom >"$T_WORK/data"
        sum=$(md5sum <"$T_WORK/data")
        guest 'nc -l -p 7000 >/tmp/got' &
        wait_for 20 "nc in the guest" eval "guest 'netstat -ltn' | grep :7000"
        socat -u OPEN:"$T_WORK/data" TCP:10.72.0.2:7000
        wait
        assert_eq "$(guest 'md5sum </tmp/got')" "$sum" "what the guest got"
}

to_outside() {
        guest 'ping -c 1 -W 5 10.72.0.1'
        socat -u TCP-LISTEN:7001,reuseaddr,readbytes=1000000 CREATE:"$T_WORK/got" &
        wait_for 10 "socat" eval 'ss -ltn | grep :7001'
        guest 'nc 10.72.0.1 7001 </tmp/got'
        wait
        assert_eq "$(md5sum <"$T_WORK/got")" "$(md5sum <"$T_WORK/data")" "what the guest sent"
}

pod() {
        local vmm
        namespace
        bundle net1
        "$RT" run --detach --bundle "$T_WORK/net1" net1 </dev/null >"$T_WORK/run.out" 2>&1 ||
                fail "run: $(cat "$T_WORK/run.out")"
        assert_contains "$(additions)" kata0

        # The guest's interface is the namespace's, by name, address and all.
        run guest 'ip address show eth0; ip route; ip -6 route; ip neigh; cat /sys/class/net/eth0/mtu'
        assert_contains "$RUN_OUTPUT" 'link/ether 02:00:00:00:72:01'
        assert_contains "$RUN_OUTPUT" 'inet 10.72.0.2/24'
        assert_contains "$RUN_OUTPUT" 'inet6 fd72::2/64'
        assert_contains "$RUN_OUTPUT" 'default via 10.72.0.1 dev eth0'
        assert_match "$RUN_OUTPUT" '10.99.0.0/16 via 10.72.0.7 dev eth0'
        assert_match "$RUN_OUTPUT" '10.72.0.7 dev eth0 lladdr 02:00:00:00:72:07.* PERMANENT'
        assert_contains "$RUN_OUTPUT" $'\n1400'
        from_outside
        to_outside

        # The machine is in the namespace, too.
        vmm=$(pgrep -f -- 'qemu-system-x86_64.*guest=kata-net1')
        assert_eq "$(stat -L -c %i "/proc/$vmm/ns/net")" "$(stat -L -c %i "/run/netns/$NS")" "namespace of the VMM"

        # Another supervisor finds the network as it is, and takes it down in the end.
        kill -KILL "$(unit_property kata-sandbox@net1 MainPID)"
        assert_journal --within 20 KATA_SANDBOX_ID=net1 "MESSAGE~took over the running machine"
        wait_for 20 "an answer to a ping" reachable 10.72.0.2
        assert_status 0 "$RT" delete --force net1
        assert_as_before
        assert_eq "$(ip -n "$NS" -o -4 address show eth0 | awk '{ print $4 }')" 10.72.0.2/24 "address in the namespace"
}

# Two interfaces; and a supervisor that dies for good.
operator() {
        local conf=/run/systemd/system/kata-sandbox@net2.service.d
        namespace
        ip link add w72 type veth peer name eth1 address 02:00:00:00:72:02 netns "$NS"
        ip address add 10.73.0.1/24 dev w72
        ip link set w72 up
        ip -n "$NS" address add 10.73.0.2/24 dev eth1
        ip -n "$NS" link set eth1 up
        ip -n "$NS" link add down0 type veth peer name down1
        mkdir -p "$conf"
        printf '[Service]\nRestart=no\n' >"$conf/t.conf"
        systemctl daemon-reload
        simple_sandbox net2 '/bin/sleep 1000' "NetworkNamespace=/run/netns/$NS"
        start_sandbox net2
        rm -r "$conf"
        assert_journal KATA_SANDBOX_ID=net2 "MESSAGE~left out of network namespace /run/netns/$NS: interface down0 is down"
        wait_for 20 "an answer to a ping" reachable 10.72.0.2
        wait_for 20 "an answer to a ping" reachable 10.73.0.2
        assert_contains "$(additions)" kata1

        kill -KILL "$(unit_property kata-sandbox@net2 MainPID)"
        wait_for 30 "the scope to be gone" bash -c '! systemctl is-active kata-vm-net2.scope'
        assert_as_before
        assert_no_journal "MESSAGE~removing its redirection"
        systemctl daemon-reload
}

# late NAME [JQ-FILTER]: a container whose network namespace is made for it.
late() {
        bundle "$1"
        jq "(.linux.namespaces[] | select(.type == \"network\")) |= del(.path) | ${2:-.}" "$T_WORK/$1/config.json" \
                >"$T_WORK/$1/new"
        mv "$T_WORK/$1/new" "$T_WORK/$1/config.json"
}

# What an engine does with the number of a container: moves one end of a pair into its network and sets it up.
write_set_up() {
        cat >"$T_WORK/set-up" <<'SCRIPT'
#!/bin/bash
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
pid=${1:-$(jq .pid)}
ip netns attach t72 "$pid"
ip link add v72 type veth peer name eth0 address 02:00:00:00:72:01 netns t72
ip link set v72 mtu 1400
ip address add 10.72.0.1/24 dev v72
ip address add fd72::1/64 dev v72 nodad
ip link set v72 up
ip -n t72 link set eth0 mtu 1400
ip -n t72 address add 10.72.0.2/24 dev eth0
ip -n t72 address add fd72::2/64 dev eth0 nodad
ip -n t72 link set eth0 up
ip -n t72 route add default via 10.72.0.1
ip -n t72 neighbour add 10.72.0.7 lladdr 02:00:00:00:72:07 dev eth0 nud permanent
SCRIPT
        chmod 755 "$T_WORK/set-up"
}

# The network comes between create and start. The supervisor is killed before and after.
after_create() {
        local pid vmm
        trap remove_namespace EXIT
        write_set_up
        late net1
        "$RT" create --bundle "$T_WORK/net1" --pid-file "$T_WORK/pid" net1 </dev/null >"$T_WORK/run.out" 2>&1 ||
                fail "create: $(cat "$T_WORK/run.out")"
        pid=$(cat "$T_WORK/pid")
        vmm=$(pgrep -f -- 'qemu-system-x86_64.*guest=kata-net1')
        assert_eq "$(stat -L -c %i "/proc/$pid/ns/net")" "$(stat -L -c %i "/proc/$vmm/ns/net")" "namespace of the VMM"
        [[ $(stat -L -c %i "/proc/$pid/ns/net") != "$(stat -L -c %i /proc/self/ns/net)" ]] ||
                fail "kata-shim is in the node's network namespace"
        "$T_WORK/set-up" "$pid"
        # One more than there is a place for.
        ip link add w72 type veth peer name eth1 netns "$NS"
        ip -n "$NS" link set eth1 up
        assert_contains "$(ip -n "$NS" link show kata0)" 'state DOWN'

        kill -KILL "$(unit_property kata-sandbox@net1 MainPID)"
        assert_journal --within 20 --count 1 KATA_SANDBOX_ID=net1 "MESSAGE~took over the running machine"
        assert_contains "$(cat /run/kata/net1/sandbox.state)" spare=kata0
        assert_status 0 "$RT" start net1
        assert_journal KATA_SANDBOX_ID=net1 "MESSAGE~gets interface eth0 and 1 routes"
        assert_journal KATA_SANDBOX_ID=net1 PRIORITY=4 "MESSAGE~interface eth1 came when the machine was running"
        assert_not_contains "$(cat /run/kata/net1/sandbox.state)" spare

        run guest 'ip address show eth0; ip route; ip -6 route; ip neigh; cat /sys/class/net/eth0/mtu'
        assert_contains "$RUN_OUTPUT" 'link/ether 02:00:00:00:72:01'
        assert_contains "$RUN_OUTPUT" 'inet 10.72.0.2/24'
        assert_contains "$RUN_OUTPUT" 'inet6 fd72::2/64'
        assert_contains "$RUN_OUTPUT" 'default via 10.72.0.1 dev eth0'
        assert_match "$RUN_OUTPUT" '10.72.0.7 dev eth0 lladdr 02:00:00:00:72:07.* PERMANENT'
        assert_contains "$RUN_OUTPUT" $'\n1400'
        from_outside
        to_outside

        kill -KILL "$(unit_property kata-sandbox@net1 MainPID)"
        assert_journal --within 20 --count 2 KATA_SANDBOX_ID=net1 "MESSAGE~took over the running machine"
        wait_for 20 "an answer to a ping" reachable 10.72.0.2
        assert_status 0 "$RT" delete --force net1
        assert_as_before
}

# The network comes from a hook; in a pod it is there for the second container as well.
by_a_hook() {
        trap remove_namespace EXIT
        write_set_up
        late net1 ".hooks.createRuntime = [{path: \"$T_WORK/set-up\", args: [\"set-up\"]}]"
        late net2 '.annotations["io.kubernetes.cri-o.SandboxID"] = "net1"'
        "$RT" run --detach --bundle "$T_WORK/net1" net1 </dev/null >"$T_WORK/run.out" 2>&1 ||
                fail "run: $(cat "$T_WORK/run.out")"
        wait_for 20 "an answer to a ping" reachable 10.72.0.2
        guest 'ping -c 1 -W 5 10.72.0.1'
        "$RT" run --detach --bundle "$T_WORK/net2" --pid-file "$T_WORK/pid" net2 </dev/null >"$T_WORK/run.out" 2>&1 ||
                fail "run: $(cat "$T_WORK/run.out")"
        assert_eq "$(stat -L -c %i "/proc/$(cat "$T_WORK/pid")/ns/net")" "$(stat -L -c %i "/run/netns/$NS")" \
                "namespace of the second container"
        assert_contains "$("$RT" exec net2 /bin/ip address show eth0)" 10.72.0.2/24
        assert_status 0 "$RT" delete --force net2
        # The namespace has a name by now, and stays with all that is in it.
        assert_status 0 "$RT" delete --force net1
        assert_as_before
}

is_traced() {
        [[ $(awk '$1 == "TracerPid:" { print $2 }' "/proc/$1/status") != 0 ]]
}

# The supervisor is killed at one after the other of the calls with which a start attaches the network. Whoever asks
# the next supervisor for the start gets it.
killed_between() {
        local calls=setns,sendto,sendmsg,rename,renameat2,writev,write n=0 when supervisor
        local conf=/run/systemd/system/kata-sandbox@net1.service.d
        need_program strace
        # That it is restarted so often is meant.
        mkdir -p "$conf"
        printf '[Unit]\nStartLimitIntervalSec=0\n' >"$conf/t.conf"
        systemctl daemon-reload
        trap remove_namespace EXIT
        write_set_up
        late net1
        "$RT" create --bundle "$T_WORK/net1" --pid-file "$T_WORK/pid" net1 </dev/null >"$T_WORK/run.out" 2>&1 ||
                fail "create: $(cat "$T_WORK/run.out")"
        "$T_WORK/set-up" "$(cat "$T_WORK/pid")"
        for when in 5 9 13 19 25 31; do
                supervisor=$(unit_property kata-sandbox@net1 MainPID)
                strace -qq -o "$T_WORK/strace.$when" -p "$supervisor" -e "trace=$calls" \
                        -e "inject=$calls:signal=KILL:when=$when" &
                wait_for 10 "strace" is_traced "$supervisor"
                run "$RT" start net1
                ((RUN_STATUS != 0)) || break
                wait
                tail -n 2 "$T_WORK/strace.$when"
                n=$((n + 1))
                assert_journal --within 20 --count "$n" KATA_SANDBOX_ID=net1 "MESSAGE~took over the running machine"
                wait_for 20 "the supervisor" "$RT" state net1
                [[ $("$RT" state net1 | jq -r .status) == created ]] || break
        done
        ((n >= 4)) || fail "the supervisor was killed only $n times"
        kill %% 2>/dev/null || true
        [[ $("$RT" state net1 | jq -r .status) == running ]] || assert_status 0 "$RT" start net1
        wait_for 20 "an answer to a ping" reachable 10.72.0.2
        guest 'ping -c 1 -W 5 10.72.0.1'
        assert_contains "$(guest 'ip address show eth0')" 'link/ether 02:00:00:00:72:01'
        assert_status 0 "$RT" delete --force net1
        assert_as_before
        rm -r "$conf"
        systemctl daemon-reload
}

# Something is there that can not be attached: the start says so, and the next one may do better.
late_refusal() {
        trap remove_namespace EXIT
        write_set_up
        late net1
        "$RT" create --bundle "$T_WORK/net1" --pid-file "$T_WORK/pid" net1 </dev/null >"$T_WORK/run.out" 2>&1 ||
                fail "create: $(cat "$T_WORK/run.out")"
        "$T_WORK/set-up" "$(cat "$T_WORK/pid")"
        tc -n "$NS" qdisc add dev eth0 ingress
        assert_status 1 "$RT" start net1
        assert_contains "$RUN_OUTPUT" "'tc qdisc del dev eth0 ingress' ends it"
        assert_contains "$(ip -n "$NS" link show kata0)" 'state DOWN'
        assert_status 0 "$RT" delete --force net1
        assert_contains "$(tc -n "$NS" qdisc show dev eth0)" ingress
        tc -n "$NS" qdisc delete dev eth0 ingress
}

refused() {
        local text=$2
        simple_sandbox net3 '/bin/true' "NetworkNamespace=$1"
        assert_fails systemctl start kata-sandbox@net3
        assert_journal KATA_SANDBOX_ID=net3 "MESSAGE~failed.*$text"
        systemctl reset-failed kata-sandbox@net3
}

refusals() {
        namespace
        refused /run/netns/missing '/run/netns/missing can not be opened: No such file'
        refused /dev/null '/dev/null is not a network namespace'
        refused /proc/self/ns/net 'network namespace of the host'
        tc -n "$NS" qdisc add dev eth0 ingress
        refused "/run/netns/$NS" "tc qdisc del dev eth0 ingress"
        # It belongs to somebody else, and stays.
        assert_contains "$(tc -n "$NS" qdisc show dev eth0)" ingress
        tc -n "$NS" qdisc delete dev eth0 ingress
        assert_as_before
}

# The first one makes a mount point of its directory, which stays.
ip netns add "$NS"
ip netns delete "$NS"

t "a container in a network namespace" pod
t_live "configured after create" after_create
t_live "configured by a hook, and a pod" by_a_hook
t_live "configured after create, and taken" late_refusal
t_live "the supervisor is killed in between" killed_between
t_live "two interfaces, and a supervisor that dies for good" operator
t_live "namespaces that can not be used" refusals
