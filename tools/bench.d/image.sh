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
        local kernel image
        bench_kernel
        kernel=$REPLY
        bench_image_dir
        image=$REPLY
        # Compressing takes longer than all the rest.
        cache_key "${BENCH_IMAGE_VARIANTS[@]}" - < <(sha256sum <"$kernel/vmlinux"; sha256sum <"$image/guest.img"
                sha256sum <"$TOOLS/bench.d/image.sh")
        cache_get bench-image "$REPLY" image_measure "$kernel" "$image"
        BENCH_IMAGE_SIZES=$REPLY/sizes
        BENCH_IMAGE_MANIFEST=$image/guest.manifest
        image_size guest_img
        bench_value image.guest "$REPLY" B 'guest image with hash tree'
        image_size agent
        bench_value image.agent "$REPLY" B '– of this kata-agent'
        image_size vmlinux
        bench_value image.vmlinux "$REPLY" B 'guest kernel, stripped'
        image_size vmlinux_xz
        bench_value image.kernel_xz "$REPLY" B '– compressed with xz'
        image_size vmlinux_zstd
        bench_value image.kernel_zstd "$REPLY" B '– compressed with zstd -19'
}

# image_size NAME: a number of the file of sizes.
image_size() {
        REPLY=$(sed -n "s/^$1=//p" "$BENCH_IMAGE_SIZES")
        [[ $REPLY =~ ^[0-9]+$ ]] || die "no size of $1 in $BENCH_IMAGE_SIZES"
}

image_measure() {
        local dir=$1 kernel=$2 image=$3 log=$CACHE_ROOT/logs/bench-image.log
        tree_get "$GUEST_RELEASE"
        step "measuring sizes (log: $log)"
        : >"$log"
        run_logged "$log" enter --root "$REPLY" --ro "$kernel:/kernel" --ro "$image:/image" \
                --ro "$TOOLS/bench.d:/bench" --rw "$dir:/out" -- \
                /bin/bash -euo pipefail /bench/image-sizes /out/sizes "${BENCH_IMAGE_VARIANTS[@]}"
}

bench_image_report() {
        local variant plain
        image_size fs_uncompressed
        plain=$REPLY
        echo "Guest image:"
        awk -F = '
                $1 == "guest_img" { printf "  %10d  whole file\n", $2 }
                $1 == "data" { printf "  %10d  file system\n", $2 }
                $1 == "hash" { printf "  %10d  hash tree\n", $2 }
        ' "$BENCH_IMAGE_SIZES"
        echo "Files in it:"
        awk '$1 !~ /^#/ && $3 > 0 { printf "  %10d  %s\n", $3, $4 }' "$BENCH_IMAGE_MANIFEST" | sort -k1,1nr
        echo "The same files as erofs:"
        for variant in "${BENCH_IMAGE_VARIANTS[@]}"; do
                variant=${variant%% *}
                image_size "fs_$variant"
                printf '  %10d  %s (%d %%)\n' "$REPLY" "$variant" $((REPLY * 100 / plain))
        done
        echo "Guest kernel:"
        awk -F = '$1 ~ /^vmlinux/ { printf "  %10d  %s\n", $2, $1 }' "$BENCH_IMAGE_SIZES"
        echo
}

bench_image_failed() {
        bench_image_report
}
