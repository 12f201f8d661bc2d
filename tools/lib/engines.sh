# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Container engines of a Debian release as a layer above its tree: what runs sandboxes through us, and runtimes to
# compare with. Only nodes have it, so that another engine does not build compilers' trees and kernels anew.

# Changes of the recipe below that matter for its result count this up.
ENGINES_RECIPE=1

engines_packages() {
        local lists=(engines)
        [[ ! -e $TOOLS/trees/engines-$1.packages ]] || lists+=("engines-$1")
        tree_packages "${lists[@]}"
}

# engines_get RELEASE: the layer, in REPLY.
engines_get() {
        local release=$1 tree
        tree_get "$release"
        tree=$REPLY
        cache_key "$ENGINES_RECIPE" "${tree##*/}" - < <(engines_packages "$release")
        cache_get "engines-$release" "$REPLY" engines_build "$release" "$tree"
        REPLY+=/root
}

engines_build() {
        local dir=$1 release=$2 tree=$3 log=$CACHE_ROOT/logs/engines-$2.log packages keyring
        : >"$log"
        mapfile -t packages < <(engines_packages "$release")
        mkdir -p "$CACHE_ROOT/debs/$release/partial"
        apt_find_mirrors
        apt_keyring "$APT_MAIN" "$release"
        keyring=$REPLY
        tree_apt_prepare "$dir/root" "$tree" "$release" "$keyring"
        step "installing ${#packages[@]} container engines and their dependencies for $release (log: $log)"
        # Tests start what they need themselves.
        tree_apt "$release" "$log" --root "$tree" --write "$dir" -- /bin/sh -euc '
                apt-get -q update
                apt-get -q -y install "$@"
                apt-get -q autoclean
                for package; do
                        dpkg -L "$package" | sed -n "s:^\(/usr\)\?/lib/systemd/system/\([^/@]*\.\(service\|socket\|timer\|path\)\)$:\2:p"
                done | xargs -r systemctl disable
        ' install "${packages[@]}"
        tree_apt_finish "$dir/root"
        rm -rf "$dir/work"
        # What is not the layer hides what is in the tree.
        rm -rf "$dir/root"/{dev,proc,run,sys,tmp}
}
