# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
#
# What virtualisation this machine has. /dev/kvm being there says little: the probe starts a stock
# kernel and waits for its first line.

KVM_PROBE_DEADLINE=20

# Sets KVM_USABLE and KVM_NESTED to 1 or 0, KVM_REASON to the reason why not.
kvm_probe() {
        local tree memo
        KVM_USABLE=0 KVM_NESTED=0 KVM_REASON=''
        if [[ ! -c /dev/kvm ]]; then
                KVM_REASON='no /dev/kvm'
                return 0
        fi
        tree_get trixie
        tree=$REPLY
        cache_key "$tree" "$(cat /proc/sys/kernel/random/boot_id)"
        memo=$CACHE_ROOT/tmp/kvm-probe.$REPLY
        if [[ ! -e $memo ]]; then
                rm -f "$CACHE_ROOT"/tmp/kvm-probe.*
                kvm_try "$tree" >"$memo"
        fi
        KVM_REASON=$(cat "$memo")
        [[ -z $KVM_REASON ]] || return 0
        KVM_USABLE=1
        if grep -qsE '^[1Yy]' /sys/module/kvm_{intel,amd}/parameters/nested; then
                KVM_NESTED=1
        else
                KVM_REASON='no nested virtualisation'
        fi
}

kvm_try() {
        local out
        step "probing whether KVM runs a stock kernel here"
        out=$(enter --root "$1" --dev /dev/kvm -- /bin/sh -c "
                timeout $KVM_PROBE_DEADLINE qemu-system-x86_64 -M q35,accel=kvm -cpu host -m 256 \
                        -nodefaults -no-user-config -display none -no-reboot -serial stdio \
                        -kernel /boot/vmlinuz-* -append 'console=ttyS0 panic=-1' 2>&1" || true)
        [[ $out == *'Linux version'* ]] || echo '/dev/kvm is there but does not run a stock kernel'
}
