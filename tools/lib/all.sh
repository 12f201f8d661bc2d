# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: Apache-2.0
#
# What every tool sources: finds the checkout and loads the parts.

TOOLS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SOURCE=$(cd "$TOOLS/.." && pwd)
shopt -s extglob
export LC_ALL=C.UTF-8

for part in log host cache apt enter tree engines source build guest kvm node vm; do
        # shellcheck source=/dev/null
        . "$TOOLS/lib/$part.sh"
done
unset part
setup_traps
cache_init
