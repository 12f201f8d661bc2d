# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The VM node: Debian 13 from the tree as a virtual machine with its own kernel. Where this machine has
# nested virtualisation it runs with KVM; elsewhere QEMU emulates a CPU with SVM and nested paging, so
# that KVM, vhost-vsock, device-mapper and all cgroup controllers exist in the node either way. QEMU
# comes from the tree.

VM_RELEASE=trixie
# Changes of what is below count this up.
VM_RECIPE=2
VM_DISK_SIZE=8G

# vm_disk_get: the root disk of VM nodes, in REPLY.
vm_disk_get() {
        local tree engines
        tree_get "$VM_RELEASE"
        tree=$REPLY
        engines_get "$VM_RELEASE"
        engines=$REPLY
        # A layer of one tree fits no other: its key says which tree it is as well.
        cache_key "$VM_RECIPE" "$VM_DISK_SIZE" "$(basename "${engines%/root}")" - <"$TOOLS/vm/kata-node-command.service"
        cache_get vm-disk "$REPLY" vm_disk_build "$tree" "$engines"
        REPLY=$REPLY/node.img
}

vm_disk_build() {
        local dir=$1 tree=$2 engines=$3 log=$CACHE_ROOT/logs/vm-disk.log
        step "making the disk of the VM node"
        : >"$log"
        # The unit is added to the file system itself: the tree stays as it is.
        # Mount points below /tmp do not get into it either.
        run_logged "$log" enter --root "$tree" --over "$engines" --rw "$dir:/tmp/out" \
                --ro "$TOOLS/vm:/tmp/vm" -- /bin/sh -euc '
                        unit=kata-node-command.service
                        mount --bind / /mnt
                        mke2fs -q -t ext4 -L kata-node -m 0 -O ^has_journal -d /mnt /tmp/out/node.img "$1"
                        printf "%s\n" "cd /etc/systemd/system" "write /tmp/vm/$unit $unit" \
                                "sif $unit uid 0" "sif $unit gid 0" "sif $unit mode 0100644" \
                                "cd multi-user.target.wants" "symlink $unit ../$unit" >/tmp/commands
                        debugfs -w -f /tmp/commands /tmp/out/node.img
                        debugfs -R "stat /etc/systemd/system/multi-user.target.wants/$unit" /tmp/out/node.img |
                                grep -q symlink
                ' sh "$VM_DISK_SIZE"
}

# vm_payload DIR COMMAND...: writes DIR/payload.img with the layers, the tests and the command.
vm_payload() {
        local dir=$1 binds=() i=0 layer
        shift
        mkdir -p "$dir/payload/layers" "$dir/payload/tests"
        node_layers "$VM_RELEASE"
        for layer in "${NODE_LAYERS[@]}"; do
                [[ $layer != --over ]] || continue
                mkdir "$dir/payload/layers/$i"
                binds+=(--ro "$layer:/vm/payload/layers/$i")
                i=$((i + 1))
        done
        cp -r "$SOURCE/tests/live/." "$SOURCE/tests/common/." "$SOURCE/tests/differential" "$dir/payload/tests/"
        cp "$TOOLS/vm/start" "$dir/payload/start"
        printf '%s\0' "$@" >"$dir/payload/command"
        run_logged "$dir/log" enter --root "$NODE_TREE" --rw "$dir:/vm" "${binds[@]}" -- /bin/sh -euc '
                size=$(du -sk --apparent-size /vm/payload | cut -f 1)
                mke2fs -q -t ext4 -m 0 -O ^has_journal -d /vm/payload /vm/payload.img \
                        "$((size * 5 / 4 + 16384))k"
        '
}

# vm_run TIMEOUT COMMAND...: runs a command in a VM node; its exit status is that of the command.
vm_run() {
        local timeout=$1 dir disk machine cpu append accel=() memory=4096 rc=0 status readers=() log
        shift
        kvm_probe
        vm_disk_get
        disk=$REPLY
        dir=$(mktemp -d "$CACHE_ROOT/tmp/vm.XXXXXXXX")
        on_exit "rm -rf --one-file-system '$dir'"
        step "preparing the second disk"
        vm_payload "$dir" "$@"

        append='console=ttyS0 root=/dev/vda rw panic=-1 loglevel=5 systemd.show_status=yes'
        if ((KVM_NESTED)); then
                machine=q35,accel=kvm
                cpu=host
                accel=(--dev /dev/kvm)
                step "starting a VM node with KVM"
        else
                machine=q35
                # A level less in every page walk, and a walk of the guest's is one of the node's at each level.
                cpu=max,la57=off
                # Mitigations protect nobody in an emulated CPU and cost much there.
                append+=' mitigations=off no_timer_check'
                step "starting a VM node with an emulated CPU: $KVM_REASON"
        fi
        (($(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo) > 6144)) || memory=2560
        log=$CACHE_ROOT/logs/vm-console.$$.log
        : >"$dir/console"
        mkfifo "$dir/stdout" "$dir/stderr"
        cat "$dir/stdout" &
        readers+=($!)
        cat "$dir/stderr" >&2 &
        readers+=($!)
        on_exit "kill ${readers[*]} 2>/dev/null"

        local qemu=(timeout --kill-after=10 "$timeout" qemu-system-x86_64
                -name kata-node -M "$machine" -cpu "$cpu" -m "$memory" -smp 2
                -nodefaults -no-user-config -display none -no-reboot
                -append "$append" -kernel /vm/vmlinuz -initrd /vm/initrd
                -serial file:/vm/console
                -drive "file=/disk/node.img,if=none,id=root,format=raw,snapshot=on,cache=unsafe"
                -device "virtio-blk-pci,drive=root"
                -drive "file=/vm/payload.img,if=none,id=payload,format=raw,readonly=on"
                -device "virtio-blk-pci,drive=payload"
                -device virtio-rng-pci -device virtio-serial-pci)
        ((KVM_NESTED)) || qemu+=(-accel 'tcg,thread=multi,tb-size=512')
        local port
        for port in stdout stderr status; do
                qemu+=(-chardev "file,id=$port,path=/vm/$port"
                        -device "virtserialport,chardev=$port,name=kata.$port")
        done
        enter --root "$NODE_TREE" --rw "$dir:/vm" --ro "${disk%/*}:/disk" \
                --ro "$(vm_newest "$NODE_TREE/boot/vmlinuz-")":/vm/vmlinuz \
                --ro "$(vm_newest "$NODE_TREE/boot/initrd.img-")":/vm/initrd \
                --env TMPDIR=/vm "${accel[@]}" -- "${qemu[@]}" </dev/null >"$dir/qemu.log" 2>&1 || rc=$?
        # Readers whose pipe QEMU never opened would wait for ever.
        : <>"$dir/stdout"
        : <>"$dir/stderr"
        wait "${readers[@]}" || true
        unset 'CLEANUPS[-1]'
        cp "$dir/console" "$log"
        status=$(cat "$dir/status" 2>/dev/null || true)
        if [[ $status =~ ^[0-9]+$ ]]; then
                step "the VM node is done (console: $log)"
                return "$status"
        fi
        tail -n 40 "$log" >&2
        cat "$dir/qemu.log" >&2
        if ((rc == 124 || rc == 137)); then
                die "the VM node passed its deadline of $timeout s; its console is in $log"
        fi
        die "the VM node ended without a result (QEMU: status $rc); its console is in $log"
}

# The newest version of the general kernel; the cloud one, which is there for guests, has few drivers.
vm_newest() {
        local file newest=
        for file in "$1"*; do
                [[ $file == *-cloud-amd64 ]] || newest=$file
        done
        printf '%s' "$newest"
}
