# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds of the checkout inside a tree, as an ordinary user and without network. The meson directory of
# a release and variant is kept, so a warm build takes seconds; what is installed is cached by content.

# Changes of build_install() count this up.
BUILD_RECIPE=3
# No user of any machine should have this number: what it builds is installed in nodes as root.
BUILD_UID=60600

# Arguments of "meson setup" and environment for a variant, in BUILD_SETUP and BUILD_ENV.
build_variant() {
        BUILD_SETUP=(--werror) BUILD_ENV=()
        case $1 in
        install) ;;
        sanitize)
                BUILD_ENV=(CC=clang)
                BUILD_SETUP+=('-Db_sanitize=address,undefined' -Db_lundef=false)
                ;;
        fuzz)
                BUILD_ENV=(CC=clang)
                BUILD_SETUP+=(-Dfuzz=true -Dtests=false '-Db_sanitize=address,undefined' -Db_lundef=false)
                ;;
        *) die "unknown build variant '$1'" ;;
        esac
}

# build_enter RELEASE DIR OPTIONS... -- COMMAND: a command where the build of DIR is at /build.
build_enter() {
        local release=$1 dir=$2 env=() e
        shift 2
        tree_get "$release"
        for e in "${BUILD_ENV[@]}"; do
                env+=(--env "$e")
        done
        enter --root "$REPLY" --uid "$BUILD_UID" --ro "$dir/src:/src" --rw "$dir/build:/build" \
                --chdir /build "${env[@]}" "$@"
}

# build_compile RELEASE VARIANT: an up-to-date meson directory; its parent is in BUILD_DIR. The lock on
# it is in BUILD_LOCK; release it with cache_unlock when done with the directory.
build_compile() {
        local release=$1 variant=$2 log stamp
        BUILD_DIR=$CACHE_ROOT/meson/$release-$variant
        log=$CACHE_ROOT/logs/build-$release-$variant.log
        build_variant "$variant"
        tree_get "$release"
        stamp="${REPLY##*/} $BUILD_UID ${BUILD_SETUP[*]} ${BUILD_ENV[*]}"
        mkdir -p "$BUILD_DIR"
        cache_lock "meson-$release-$variant"
        BUILD_LOCK=$REPLY
        if [[ $(cat "$BUILD_DIR/stamp" 2>/dev/null) != "$stamp" ]]; then
                rm -rf "${BUILD_DIR:?}"/*
        fi
        source_sync "$BUILD_DIR"
        mkdir -p "$BUILD_DIR/build"
        chown "$BUILD_UID:$BUILD_UID" "$BUILD_DIR/build"
        step "building for $release, variant $variant (log: $log)"
        : >"$log"
        if [[ ! -e $BUILD_DIR/stamp ]]; then
                rm -rf "${BUILD_DIR:?}/build"/*
                run_logged "$log" build_enter "$release" "$BUILD_DIR" -- \
                        meson setup "${BUILD_SETUP[@]}" /build /src
                printf '%s\n' "$stamp" >"$BUILD_DIR/stamp"
        fi
        run_logged "$log" build_enter "$release" "$BUILD_DIR" -- ninja
}

# build_get RELEASE: what "meson install" installs, as a directory in REPLY.
build_get() {
        local release=$1
        tree_get "$release"
        cache_key "$BUILD_RECIPE" "${REPLY##*/}" - < <(build_manifest)
        cache_get "install-$release" "$REPLY" build_install "$release"
}

build_install() {
        local dir=$1 release=$2
        build_compile "$release" install
        # Not as the build user: the files belong to root. Without debugging information, as a package has
        # it: the guest image holds what is installed. The build directory keeps the whole programs.
        tree_get "$release"
        run_logged "$CACHE_ROOT/logs/build-$release-install.log" \
                enter --root "$REPLY" --rw "$BUILD_DIR/src:/src" --rw "$BUILD_DIR/build:/build" \
                --rw "$dir:/dest" --chdir /build -- \
                meson install --no-rebuild --strip --destdir /dest
        # Tests that need a machine of their own: they run in nodes, see tests/live/05-programs.sh. The others
        # are what tests/live/66-differential.sh is made of.
        mkdir -p "$dir/usr/libexec/kata-tests"
        find "$BUILD_DIR/build" -maxdepth 3 -type f -perm -u+x \
                \( -name 'test-*live*' -o -name bundle-runner -o -name differential-probe -o -name kill-at \) \
                -exec cp -t "$dir/usr/libexec/kata-tests" {} +
        chown -R root:root "$dir/usr/libexec/kata-tests"
        cache_unlock "$BUILD_LOCK"
        # The layer's own directories hide those of the tree below.
        find "$dir" -type d -exec chmod 755 {} +
}
