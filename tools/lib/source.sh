# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# The files of the checkout: what belongs to it, and a copy that only changes where contents change.

# Folders that no binary is built from.
SOURCE_NOT_BUILT='^(\.ci|docs|tools|tests/live|tests/common)/|^tests/differential/(cases|known|.*\.jq|.*\.json)$|^[^/]*\.md$|^\.[^/]*$'

# All files of the checkout, one a line, relative; with git those that it tracks or would track.
source_files() {
        if git -C "$SOURCE" -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
                git -C "$SOURCE" -c safe.directory='*' -c core.quotePath=off \
                        ls-files --cached --others --exclude-standard
        else
                (cd "$SOURCE" && find . -type f -not -path './.git/*' -not -path './build*/*' -printf '%P\n')
        fi | sort -u | while read -r file; do
                # Deleted but not committed yet.
                [[ ! -f $SOURCE/$file ]] || printf '%s\n' "$file"
        done
}

# source_manifest PATTERN-ARGUMENTS...: "hash  path" of the files that grep selects by name.
source_manifest() {
        (cd "$SOURCE" && source_files | grep -E "$@" | tr '\n' '\0' | xargs -0r sha256sum)
}

build_manifest() {
        source_manifest -v "$SOURCE_NOT_BUILT"
}

# source_sync DIR: makes DIR/src equal to the files that are built. A file whose content is the same
# keeps its time stamp, whichever checkout it came from, so ninja rebuilds what changed and only that.
source_sync() {
        local dir=$1 new=$1/manifest.new old=$1/manifest file
        build_manifest >"$new"
        mkdir -p "$dir/src"
        touch "$old"
        while read -r file; do
                rm -f "$dir/src/$file"
        done < <(comm -23 <(cut -c67- "$old" | sort) <(cut -c67- "$new" | sort))
        while read -r file; do
                mkdir -p "$dir/src/$(dirname "$file")"
                cp --preserve=mode -T "$SOURCE/$file" "$dir/src/$file"
        done < <(comm -13 <(sort "$old") <(sort "$new") | cut -c67-)
        mv "$new" "$old"
}
