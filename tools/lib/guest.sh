# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Guest kernel and guest image. Both always come from the trixie tree, so nodes of every release boot
# the same guest.

GUEST_RELEASE=trixie
# What the kernel depends on; its tests are beside it and are no input.
GUEST_KERNEL_INPUTS='^kernel/(build|check-config|report|fragments/[^/]*[.]config|patches/[^/]*[.]patch)$'

# guest_kernel_get: directory with vmlinux and vmlinux.config, in REPLY.
guest_kernel_get() {
        tree_get "$GUEST_RELEASE"
        cache_key "${REPLY##*/}" - < <(source_manifest "$GUEST_KERNEL_INPUTS")
        cache_get guest-kernel "$REPLY" guest_kernel_build
}

guest_kernel_build() {
        local dir=$1 log=$CACHE_ROOT/logs/guest-kernel.log scratch
        [[ -x $SOURCE/kernel/build ]] || die "this checkout has no kernel/build"
        tree_get "$GUEST_RELEASE"
        scratch=$(mktemp -d "$CACHE_ROOT/tmp/kernel.XXXXXXXX")
        on_exit "rm -rf --one-file-system '$scratch'"
        mkdir "$scratch/tmp" "$scratch/cache" "$scratch/out"
        # A copy: the checkout may change during the minutes that this takes, the key would not.
        cp -a "$SOURCE/kernel" "$scratch/kernel"
        chown -R "$BUILD_UID:$BUILD_UID" "$scratch"
        step "building the guest kernel, about six minutes (log: $log)"
        : >"$log"
        run_logged "$log" guest_kernel_compile "$REPLY" "$scratch" "${2:-/scratch}"
        cp "$scratch/out"/vmlinux* "$dir/"
        chown -R root:root "$dir"
        rm -rf --one-file-system "$scratch"
}

# guest_kernel_compile TREE SCRATCH PLACE: as an ordinary user, where SCRATCH is seen as PLACE.
guest_kernel_compile() {
        enter --root "$1" --uid "$BUILD_UID" --ro "$2/kernel:/src/kernel" --rw "$2:$3" \
                --env KATA_CACHE="$3/cache" --env TMPDIR="$3/tmp" -- \
                /src/kernel/build --out "$3/out" 2>&1 | show_progress 'kernel: '
}

# guest_kernel_again KERNEL: builds that kernel once more, at another time and place, and compares. The
# verdict is cached: equal inputs that were found to give equal bytes need no third build.
guest_kernel_again() {
        cache_get guest-kernel-again "${1##*/}" guest_kernel_compare "$1"
        cat "$REPLY/verdict"
}

guest_kernel_compare() {
        local dir=$1 kernel=$2 file again
        again=$(mktemp -d "$CACHE_ROOT/tmp/again.XXXXXXXX")
        on_exit "rm -rf --one-file-system '$again'"
        guest_kernel_build "$again" /another/place
        for file in "$kernel"/* "$again"/*; do
                cmp "$kernel/${file##*/}" "$again/${file##*/}" ||
                        die "two builds of the guest kernel differ in ${file##*/}"
        done
        (cd "$kernel" && sha256sum vmlinux*) >"$dir/verdict"
        rm -rf --one-file-system "$again"
}

# guest_image_get: directory with guest.img, guest.params and guest.spdx.json, in REPLY.
guest_image_get() {
        local install tree
        build_get "$GUEST_RELEASE"
        install=$REPLY
        tree_get "$GUEST_RELEASE"
        tree=$REPLY
        # The image depends on the builder, the agent and the libraries of the tree; not on the rest.
        cache_key "${tree##*/}" - < <(cd "$install" && find usr/bin usr/share/kata usr/lib/kata -type f \
                -exec sha256sum {} + 2>/dev/null | sort -k 2)
        cache_get guest-image "$REPLY" guest_image_build "$tree" "$install"
}

guest_image_build() {
        local dir=$1 tree=$2 install=$3 log=$CACHE_ROOT/logs/guest-image.log
        [[ -x $install/usr/bin/kata-image ]] || die "this checkout does not build kata-image"
        step "building the guest image (log: $log)"
        : >"$log"
        # Nothing in it needs root, so that a build that does is found out.
        chown "$BUILD_UID:$BUILD_UID" "$dir"
        run_logged "$log" enter --root "$tree" --over "$install" --uid "$BUILD_UID" --rw "$dir:/out" -- \
                kata-image build --root / --agent /usr/bin/kata-agent --output-dir /out
        chown -R root:root "$dir"
}

# guest_debug_get: directory with guest-debug.img and the files beside it, in REPLY.
guest_debug_get() {
        local install tree
        build_get "$GUEST_RELEASE"
        install=$REPLY
        tree_get "$GUEST_RELEASE"
        tree=$REPLY
        cache_key "${tree##*/}" - < <(sha256sum <"$install/usr/bin/kata-image")
        cache_get guest-debug "$REPLY" guest_debug_build "$tree" "$install"
}

guest_debug_build() {
        local dir=$1 tree=$2 install=$3 log=$CACHE_ROOT/logs/guest-debug.log
        step "building the debug extension image (log: $log)"
        : >"$log"
        run_logged "$log" enter --root "$tree" --over "$install" --rw "$dir:/out" -- \
                kata-image build-debug --root / --output-dir /out
}

# guest_mkosi_get: directory with guest-mkosi.raw and .params, the guest image by the second road, in REPLY.
guest_mkosi_get() {
        local install tree
        build_get "$GUEST_RELEASE"
        install=$REPLY
        tree_get "$GUEST_RELEASE"
        tree=$REPLY
        cache_key "${tree##*/}" - < <(
                source_manifest '^mkosi[.]conf[.]d/guest/'
                cd "$install" && sha256sum usr/bin/kata-image usr/bin/kata-agent
        )
        cache_get guest-mkosi "$REPLY" guest_mkosi_build "$tree" "$install"
}

guest_mkosi_build() {
        local dir=$1 tree=$2 install=$3 log=$CACHE_ROOT/logs/guest-mkosi.log
        step "building the guest image with mkosi (log: $log)"
        : >"$log"
        # Without network: what mkosi puts together is all in the tree.
        run_logged "$log" enter --root "$tree" --over "$install" --rw "$dir:/out" \
                --ro "$SOURCE/mkosi.conf.d:/mkosi.conf.d" -- /bin/sh -euc '
                        kata-image tree --root / --agent /usr/bin/kata-agent --output-dir /tmp/tree
                        mkdir /tmp/out /tmp/cache /tmp/work
                        mkosi --directory /mkosi.conf.d/guest --skeleton-tree /tmp/tree \
                                --output-directory /tmp/out --cache-directory /tmp/cache \
                                --workspace-directory /tmp/work build
                        cp /tmp/out/guest.raw /out/guest-mkosi.raw
                        kata-image params --image /out/guest-mkosi.raw --params /out/guest-mkosi.params
                '
}

# guest_get: a layer with /usr/share/kata, in REPLY.
guest_get() {
        local kernel image debug mkosi
        guest_kernel_get
        kernel=$REPLY
        guest_image_get
        image=$REPLY
        guest_debug_get
        debug=$REPLY
        guest_mkosi_get
        mkosi=$REPLY
        cache_key "$kernel" "$image" "$debug" "$mkosi"
        cache_get guest-layer "$REPLY" guest_layer_build "$kernel" "$image" "$debug" "$mkosi"
}

guest_layer_build() {
        local layer=$1 dir=$1/usr/share/kata part
        shift
        mkdir -p "$dir"
        for part; do
                ln "$part"/* "$dir/" 2>/dev/null || cp "$part"/* "$dir/"
        done
        chmod 755 "$layer/usr" "$layer/usr/share" "$dir"
        chmod 644 "$dir"/*
}
