# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
#
# Sizes of guest kernel and guest image, and of the image's files made into erofs in other ways. The file
# systems are made from what is in the image, with kata-image's options and those of the variant.

BENCH_ABOUT['image']='sizes of guest kernel and guest image; erofs uncompressed against compressed'
# A label and options of mkfs.erofs. The first one is what kata-image does.
BENCH_IMAGE_VARIANTS=(
        'uncompressed'
        'lz4 -zlz4'
        'lz4hc -zlz4hc,12'
        'lz4hc-64k -zlz4hc,12 -C65536'
        'zstd -zzstd,19'
)

bench_image() {
        local kernel image script=$TOOLS/bench.d/image-sizes
        bench_kernel
        kernel=$REPLY
        bench_image_dir
        image=$REPLY
        # Compressing takes longer than all the rest.
        cache_key kernel - < <(sha256sum <"$kernel/vmlinux" && cat "$script")
        cache_get bench-kernel-sizes "$REPLY" image_measure "$kernel" kernel
        BENCH_IMAGE_KERNEL=$REPLY/sizes
        cache_key "${BENCH_IMAGE_VARIANTS[@]}" - < <(sha256sum <"$image/guest.img" && cat "$script")
        cache_get bench-image-sizes "$REPLY" image_measure "$image" image "${BENCH_IMAGE_VARIANTS[@]}"
        BENCH_IMAGE_SIZES=$REPLY/sizes
        image_value guest guest_img 'guest image with its hash tree'
        image_value agent agent '– of this kata-agent'
        image_value vmlinux vmlinux 'guest kernel'
        image_value kernel_xz vmlinux_xz '– compressed with xz -9'
        image_value kernel_zstd vmlinux_zstd '– compressed with zstd -19'
}

# image_size NAME: a number of the files of sizes.
image_size() {
        REPLY=$(cat "$BENCH_IMAGE_KERNEL" "$BENCH_IMAGE_SIZES" | sed -n "s/^$1=//p")
        [[ $REPLY =~ ^[0-9]+$ ]] || die "no size of $1 in $BENCH_IMAGE_SIZES"
}

# image_value KEY NAME LABEL
image_value() {
        image_size "$2"
        bench_value "image.$1" "$REPLY" B "$3"
}

# image_measure DIR INPUT ARGUMENTS...: runs image-sizes in the tree.
image_measure() {
        local dir=$1 input=$2 log=$CACHE_ROOT/logs/bench-image.log
        shift 2
        tree_get "$GUEST_RELEASE"
        step "measuring sizes of the $1 (log: $log)"
        : >"$log"
        run_logged "$log" enter --root "$REPLY" --ro "$input:/input" --ro "$TOOLS/bench.d:/bench" \
                --rw "$dir:/out" -- /bench/image-sizes /out/sizes "$@"
}

bench_image_report() {
        local variant plain
        image_size fs_uncompressed
        plain=$REPLY
        image_size guest_img
        echo "Guest image:"
        printf '  %10d  whole file\n  %10d  file system\n  %10d  hash tree and the rest\n' "$REPLY" "$plain" \
                $((REPLY - plain))
        echo "Files in it:"
        sort -k1,1nr "$BENCH_IMAGE_SIZES.files" | awk '{ printf "  %10d  %s\n", $1, $2 }'
        echo "The same files as erofs:"
        for variant in "${BENCH_IMAGE_VARIANTS[@]}"; do
                variant=${variant%% *}
                image_size "fs_$variant"
                printf '  %10d  %s (%d %%)\n' "$REPLY" "$variant" $((REPLY * 100 / plain))
        done
        echo "Guest kernel:"
        awk -F = '{ printf "  %10d  %s\n", $2, $1 }' "$BENCH_IMAGE_KERNEL"
        echo
}

bench_image_failed() {
        bench_image_report
}
