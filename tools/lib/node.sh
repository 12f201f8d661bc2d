# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The live node: a real systemd of a Debian release as PID 1 of namespaces of this machine, on top of
# the tree, with what the checkout builds installed. The tree is never written to: writes go to memory
# and go away with the node. systemd-nspawn sets the namespaces up; it is PID 1 of a namespace itself,
# so that killing it leaves no process and no mount behind.

NODE_STATE=/run/kata-node
NODE_BOOT_DEADLINE=90
NODE_STOP_DEADLINE=30

# Host devices a node gets if they are there. Loading modules of the host is not among its rights.
NODE_DEVICES=(/dev/vhost-vsock /dev/vhost-net /dev/fuse /dev/net/tun)
NODE_SYSCALLS='@keyring @mount bpf keyctl add_key request_key perf_event_open'

# node_layers RELEASE: sets NODE_TREE, NODE_ENGINES (see engines_get) and NODE_LAYERS, what the checkout builds;
# the latter two as arguments of enter and node-inner.
node_layers() {
        tree_get "$1"
        NODE_TREE=$REPLY
        NODE_ENGINES=() NODE_LAYERS=()
        if [[ ${NODE_WITH_ENGINES:-1} == 1 ]]; then
                engines_get "$1"
                NODE_ENGINES=(--over "$REPLY")
        fi
        if [[ ${NODE_BARE:-0} == 0 ]]; then
                build_get "$1"
                NODE_LAYERS+=(--over "$REPLY")
                guest_get
                NODE_LAYERS+=(--over "$REPLY")
        fi
}

node_check_name() {
        [[ $1 =~ ^[a-z0-9][a-z0-9-]{0,31}$ ]] || die "bad node name '$1' (a-z, 0-9 and '-', up to 32)"
}

# The machine's cgroup2 mount; a node's cgroup is made right below it.
node_cgroup_root() {
        REPLY=$(findmnt -n -r -t cgroup2 -o TARGET | head -n 1)
        [[ -n $REPLY ]] || die "this machine has no cgroup2 mount, a live node needs one"
        [[ -w $REPLY/cgroup.procs ]] || die "$REPLY is read-only, a live node needs to make a cgroup there"
}

# A zombie that nobody has collected yet counts as gone.
process_alive() {
        local state
        state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || true
        [[ -n $state && $state != [ZX] ]]
}

# Removes a cgroup with everything below it; kills what is left in it. Where the machine has cgroup v1 as well,
# systemd-nspawn makes one of the same name in its hierarchies.
node_remove_cgroup() {
        local cgroup=$1 deadline=$((SECONDS + 5)) mount
        while read -r mount; do
                [[ ! -d $mount/${cgroup##*/} ]] ||
                        find "$mount/${cgroup##*/}" -depth -type d -exec rmdir {} + 2>/dev/null || true
        done < <(findmnt -n -r -t cgroup -o TARGET || true)
        [[ -d $cgroup ]] || return 0
        [[ ! -e $cgroup/cgroup.kill ]] || echo 1 >"$cgroup/cgroup.kill" 2>/dev/null || true
        until find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null; do
                if ((SECONDS >= deadline)); then
                        warn "cgroup $cgroup cannot be removed"
                        return 0
                fi
                sleep 0.1
        done
}

# Nodes whose tool was killed leave an empty cgroup and a state directory; the next one tidies up.
node_tidy() {
        local state cgroup pid
        for state in "$NODE_STATE"/*/; do
                [[ -e $state/pid ]] || continue
                pid=$(cat "$state/pid")
                ! process_alive "$pid" || continue
                cgroup=$(cat "$state/cgroup" 2>/dev/null || true)
                [[ -z $cgroup ]] || node_remove_cgroup "$cgroup"
                rm -rf "$state"
        done
}

# node_boot NAME RELEASE MODE: starts a node and waits until its systemd has finished booting. In mode
# "tied" the node dies with this shell, in mode "free" it stays.
node_boot() {
        local name=$1 release=$2 mode=$3 state=$NODE_STATE/$1 log cmd=() binds=() dev pid deadline
        node_check_name "$name"
        tree_check_release "$release"
        need_command systemd-nspawn systemd-container
        node_layers "$release"
        kvm_probe
        mkdir -p "$NODE_STATE"
        node_tidy
        mkdir "$state" 2>/dev/null || die "there is a node '$name' already"
        log=$CACHE_ROOT/logs/node-$name.log
        echo "$$" >"$state/pid"
        echo "$log" >"$state/log"
        echo "$release" >"$state/release"
        if ((KVM_USABLE)); then
                binds+=(--device /dev/kvm)
        else
                step "no KVM in the live node: $KVM_REASON"
        fi
        for dev in "${NODE_DEVICES[@]}"; do
                [[ ! -e $dev ]] || binds+=(--device "$dev")
        done

        step "booting a live node of $release"
        [[ $mode != tied ]] || cmd=(setpriv --pdeathsig KILL)
        cmd+=(unshare --mount --pid --ipc --uts --fork --kill-child --propagation private
                bash "$TOOLS/lib/node-inner" --name "$name" --root "$NODE_TREE" "${NODE_ENGINES[@]}" "${NODE_LAYERS[@]}"
                --tests "$SOURCE/tests" --syscalls "$NODE_SYSCALLS" "${binds[@]}")
        if host_has_systemd; then
                # The machine's own systemd owns the cgroup tree: ask it for a delegated scope.
                : >"$state/cgroup"
                cmd=(systemd-run --scope --quiet --collect --property=Delegate=yes
                        --unit="kata-node-$name" "${cmd[@]}")
        else
                node_cgroup_root
                mkdir -p "$REPLY/kata-node-$name"
                echo "$REPLY/kata-node-$name" >"$state/cgroup"
        fi
        (
                cgroup=$(cat "$state/cgroup")
                [[ -z $cgroup ]] || echo "$BASHPID" >"$cgroup/cgroup.procs"
                exec setsid "${cmd[@]}" </dev/null >"$log" 2>&1
        ) &
        pid=$!
        echo "$pid" >"$state/pid"
        on_exit "node_stop '$name'"

        deadline=$((SECONDS + NODE_BOOT_DEADLINE))
        until node_leader "$pid"; do
                process_alive "$pid" && ((SECONDS < deadline)) || node_boot_failed "$log"
                sleep 0.1
        done
        echo "$REPLY" >"$state/leader"
        # The manager's socket comes first, then its answer to when it is done.
        until [[ -S /proc/$REPLY/root/run/systemd/private ]]; do
                process_alive "$pid" && ((SECONDS < deadline)) || node_boot_failed "$log"
                sleep 0.1
        done
        node_wait_running "$name" "$deadline" "$log"
        node_show_kernel "$(cat "$state/leader")"
}

# node_show_kernel LEADER: user namespaces may mount procfs and sysfs only where a mount of them is there that nothing
# covers, and that is not read-only (mnt_already_visible() of the kernel). nspawn covers parts of the node's, so there is
# another one of each; a sysfs belongs to a network namespace, and that of the node's is read-only.
node_show_kernel() {
        nsenter -t "$1" -a -r -w -- /bin/sh -euc '
                mkdir -p /run/visible/proc /run/visible/sys
                mount -t proc -o nosuid,nodev,noexec proc /run/visible/proc
                unshare --net mount -t sysfs -o nosuid,nodev,noexec sysfs /run/visible/sys
        '
}

node_boot_failed() {
        tail -n 40 "$1" >&2
        die "the node did not boot; its console is in $1"
}

node_wait_running() {
        local name=$1 deadline=$2 log=$3 answer
        answer=$(timeout "$((deadline - SECONDS + 1))" nsenter -t "$(cat "$NODE_STATE/$name/leader")" -a -r -w -- \
                systemctl is-system-running --wait 2>&1) || true
        case $answer in
        running) step "node is up" ;;
        degraded)
                warn "node is up, but units failed: $(nsenter -t "$(cat "$NODE_STATE/$name/leader")" -a -r -w -- \
                        systemctl list-units --failed --plain --no-legend | cut -d' ' -f1 | tr '\n' ' ')"
                ;;
        *)
                warn "systemd in the node says '$answer'"
                node_boot_failed "$log"
                ;;
        esac
}

# node_leader PID: the host pid of the node's PID 1, in REPLY: the process below PID that is number 1
# of the innermost of three pid namespaces (host, nspawn's, node's).
node_leader() {
        local status nspid parent pid
        for status in /proc/[0-9]*/status; do
                nspid=$(sed -n 's/^NSpid:[[:space:]]*//p' "$status" 2>/dev/null) || continue
                [[ $nspid == *[[:space:]]*[[:space:]]1 ]] || continue
                pid=${status#/proc/}
                pid=${pid%/status}
                parent=$pid
                while ((parent > 1)); do
                        parent=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$parent/status" 2>/dev/null) || break
                        [[ -n $parent ]] || break
                        if ((parent == $1)); then
                                REPLY=$pid
                                return 0
                        fi
                done
        done
        return 1
}

# node_exec NAME COMMAND...: runs a command as a unit of the node, with the caller's standard streams
# (a terminal becomes a terminal in the node) and its exit status.
node_exec() {
        local name=$1 state=$NODE_STATE/$1 leader unit streams rc=0
        shift
        leader=$(cat "$state/leader" 2>/dev/null) || die "there is no node '$name'"
        process_alive "$leader" || die "node '$name' is not running any more"
        unit=node-exec-$$-$RANDOM
        streams=--pipe
        [[ ! -t 0 || ! -t 1 ]] || streams=--pty
        on_exit "nsenter -t $leader -a -r -w -- systemctl kill --signal=KILL $unit.service 2>/dev/null"
        # systemd-run would expand variables in the arguments; the option that turns this off is newer than
        # 252. The shell in the middle turns death by a signal into the usual status.
        set -- /bin/sh -c '"$@"; exit $?' sh "$@"
        run_waiting nsenter -t "$leader" -a -r -w -- env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
                systemd-run --quiet --wait --collect "$streams" --service-type=exec --unit="$unit" \
                --working-directory=/root --setenv=HOME=/root --setenv=USER=root --setenv=LOGNAME=root \
                --setenv=SHELL=/bin/bash --setenv=LANG=C.UTF-8 --setenv=TERM="${TERM:-dumb}" \
                --setenv=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
                --setenv=KATA_NODE=live --setenv=SYSTEMD_PAGER=cat --property=LimitCORE=0 \
                -- "${@//\$/\$\$}" || rc=$?
        unset 'CLEANUPS[-1]'
        return "$rc"
}

# node_stop NAME: clean shutdown, then force.
node_stop() {
        local name=$1 state=$NODE_STATE/$1 pid leader deadline nspawn cgroup
        [[ -d $state ]] || return 0
        pid=$(cat "$state/pid")
        leader=$(cat "$state/leader" 2>/dev/null || true)
        if [[ -n $leader ]] && process_alive "$leader"; then
                step "shutting the node down"
                # nspawn passes SIGTERM on as the signal that makes systemd power off.
                nspawn=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$leader/status" 2>/dev/null || true)
                [[ -z $nspawn ]] || kill -TERM "$nspawn" 2>/dev/null || true
                deadline=$((SECONDS + NODE_STOP_DEADLINE))
                while process_alive "$leader" && ((SECONDS < deadline)); do
                        sleep 0.1
                done
                ! process_alive "$leader" || warn "the node did not shut down in time, killing it"
        fi
        # unshare takes its child, and with it the whole namespace, along.
        deadline=$((SECONDS + 5))
        while process_alive "$pid"; do
                ((SECONDS < deadline - 3)) || kill -KILL "$pid" 2>/dev/null || true
                ((SECONDS < deadline)) || break
                sleep 0.1
        done
        cgroup=$(cat "$state/cgroup" 2>/dev/null || true)
        [[ -z $cgroup ]] || node_remove_cgroup "$cgroup"
        rm -rf "$state"
        rmdir "$NODE_STATE" 2>/dev/null || true
}
