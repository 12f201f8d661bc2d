# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Where Debian packages come from: always from where this machine itself gets them. Signatures are
# checked against Debian's keys, or against the key that the machine's own configuration names for
# that archive; nothing here turns a check off.

# Certificate authorities of this machine, and where a tree sees them while packages are installed.
APT_HOST_CA=/etc/ssl/certs/ca-certificates.crt
APT_TREE_CA=/run/host-ca-certificates.crt

# apt's own parser reads both source formats; lists need not have been downloaded.
apt_targets() {
        apt-get indextargets --no-release-info \
                --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' | sort -u
}

# mirror+file: names a local list of mirrors (cloud images use it): the first one is taken.
apt_resolve_uri() {
        local uri=$1 file
        if [[ $uri == mirror+file:* ]]; then
                file=/${uri#mirror+file:}
                file=/${file##+(/)}
                file=${file%/}
                uri=$(awk '!/^[[:space:]]*(#|$)/ { print $1; exit }' "$file")
        fi
        REPLY=${uri%/}
}

# apt_find_mirrors: sets APT_MAIN and APT_SECURITY (may be empty).
apt_find_mirrors() {
        local uri release component codename candidates=() host_main='' host_security='' u
        local -A has_updates=()
        # shellcheck source=/dev/null
        codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-stable}")
        while IFS='|' read -r uri release component; do
                [[ $component == main ]] || continue
                case $release in
                "$codename" | stable | oldstable | testing) candidates+=("$uri") ;;
                "$codename-updates" | stable-updates | oldstable-updates) has_updates[$uri]=1 ;;
                "$codename-security" | stable-security | oldstable-security)
                        host_security=${host_security:-$uri}
                        ;;
                esac
        done < <(apt_targets)
        # Third parties sometimes name their suites after Debian's; only Debian has -updates.
        for u in "${candidates[@]}"; do
                [[ -n ${has_updates[$u]:-} ]] && host_main=${host_main:-$u}
        done
        host_main=${host_main:-${candidates[0]:-}}
        [[ -n $host_main ]] || die "no Debian archive in this machine's apt configuration"
        apt_resolve_uri "$host_main"
        APT_MAIN=$REPLY
        APT_SECURITY=
        if [[ -n $host_security ]]; then
                apt_resolve_uri "$host_security"
                APT_SECURITY=$REPLY
        fi
}

# The key file that the machine's configuration names for an archive, if it is a file.
apt_signed_by() {
        local uri=$1 files=()
        mapfile -t files < <(find /etc/apt/sources.list /etc/apt/sources.list.d \
                -name '*.list' -o -name '*.sources' 2>/dev/null)
        REPLY=
        ((${#files[@]} > 0)) || return 0
        REPLY=$(awk -v uri="$uri" '
                FNR == 1 || /^[[:space:]]*$/ { match_uri = 0; key = "" }
                /^[[:space:]]*#/ { next }
                index($0, uri) { match_uri = 1 }
                tolower($1) == "signed-by:" { key = $2 }
                match_uri && /signed-by=/ { key = $0; sub(/.*signed-by=/, "", key); sub(/[] ,].*/, "", key) }
                match_uri && key ~ /^\// { print key; exit }
        ' "${files[@]}")
}

# apt_keyring URI RELEASE: the keyring for an archive, in REPLY.
apt_keyring() {
        local uri=$1 release=$2 debian lock
        apt_signed_by "$uri"
        if [[ -n $REPLY && -f $REPLY && $REPLY != */debian-archive-* ]]; then
                return 0
        fi
        debian=/usr/share/keyrings/debian-archive-keyring.gpg
        cache_lock host-packages
        lock=$REPLY
        if ! compgen -G "/usr/share/keyrings/debian-archive-$release-*" >/dev/null; then
                step "renewing debian-archive-keyring for the keys of $release"
                run_logged "$CACHE_ROOT/logs/host-packages.log" apt-get -q -o Acquire::Retries=5 update
                run_logged "$CACHE_ROOT/logs/host-packages.log" \
                        apt-get -q -y install debian-archive-keyring
                compgen -G "/usr/share/keyrings/debian-archive-$release-*" >/dev/null ||
                        die "debian-archive-keyring of this machine has no keys for $release"
        fi
        cache_unlock "$lock"
        [[ -f $debian ]] || debian=${debian%.gpg}.pgp
        REPLY=$debian
}

# Writes the settings that this machine needs to reach its archive (proxies, time-outs, certificates,
# and whether dates are checked, which snapshot archives need) as an apt.conf.
apt_write_conf() {
        {
                apt-config dump | grep -E '^Acquire::(http|https|ftp|ForceIPv[46]|Check-Valid-Until|Check-Date|Max-ValidTime|Languages|GzipIndexes|By-Hash)(::| )' || true
                printf '%s;\n' 'Acquire::Retries "5"' 'APT::Install-Recommends "false"' \
                        'APT::Install-Suggests "false"' 'APT::Keep-Downloaded-Packages "true"' \
                        'Binary::apt-get::APT::Keep-Downloaded-Packages "true"' 'DPkg::Use-Pty "false"'
                [[ ! -e $APT_HOST_CA ]] || printf 'Acquire::https::CAInfo "%s";\n' "$APT_TREE_CA"
        } >"$1"
}

# apt_write_sources FILE RELEASE KEYRING: deb822 sources of a release.
apt_write_sources() {
        local file=$1 release=$2 keyring=$3 suites=$2
        # Not every mirror carries every suite.
        apt_suite_exists "$APT_MAIN" "$release-updates" && suites+=" $release-updates"
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
                "$APT_MAIN" "$suites" "$keyring" >"$file"
        if [[ -n $APT_SECURITY ]]; then
                printf '\nTypes: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
                        "$APT_SECURITY" "$release-security" "$keyring" >>"$file"
        else
                warn "no security archive in this machine's apt configuration: going without"
        fi
}

# Asks with apt's own download code, so that proxies and credentials of this machine apply.
apt_suite_exists() {
        local dir rc=0
        dir=$(mktemp -d "$CACHE_ROOT/tmp/suite.XXXXXXXX")
        /usr/lib/apt/apt-helper -o Acquire::Retries=3 download-file \
                "$1/dists/$2/InRelease" "$dir/InRelease" >/dev/null 2>&1 || rc=1
        rm -rf "$dir"
        return "$rc"
}
