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
        run_logged "$log" guest_kernel_compile "$REPLY" "$scratch"
        cp "$scratch/out"/vmlinux* "$dir/"
        chown -R root:root "$dir"
        rm -rf --one-file-system "$scratch"
}

guest_kernel_compile() {
        enter --root "$1" --uid "$BUILD_UID" --ro "$2/kernel:/src/kernel" --rw "$2:/scratch" \
                --env KATA_CACHE=/scratch/cache --env TMPDIR=/scratch/tmp -- \
                /src/kernel/build --out /scratch/out 2>&1 | show_progress 'kernel: '
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

# guest_get: a layer with /usr/share/kata, in REPLY.
guest_get() {
        local kernel image
        guest_kernel_get
        kernel=$REPLY
        guest_image_get
        image=$REPLY
        cache_key "$kernel" "$image"
        cache_get guest-layer "$REPLY" guest_layer_build "$kernel" "$image"
}

guest_layer_build() {
        local dir=$1/usr/share/kata
        mkdir -p "$dir"
        ln "$2"/* "$dir/" 2>/dev/null || cp "$2"/* "$dir/"
        ln "$3"/* "$dir/" 2>/dev/null || cp "$3"/* "$dir/"
        chmod 755 "$1/usr" "$1/usr/share" "$dir"
        chmod 644 "$dir"/*
}
