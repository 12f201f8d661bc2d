# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Runs a command in a tree: own mount, pid, ipc and uts namespaces, without network unless asked. The
# namespaces take every mount and process with them when they end, however they end.
#
#   enter [OPTION...] --root DIR -- COMMAND [ARG...]
#     --over DIR       a layer above the tree; may be repeated, later ones lie on top
#     --direct         write to the tree itself; without it, writes go to memory and are lost
#     --write DIR      writes go to DIR/root, which is a layer afterwards; DIR/work is scratch space
#     --ro SRC:DST     bind mount, read-only; DST is made if missing
#     --rw SRC:DST     bind mount
#     --dev PATH       bind a device node of the host
#     --net            keep the host's network and resolver
#     --uid N          run the command as this user and group
#     --chdir DIR      working directory
#     --env NAME=VALUE

enter() {
        # The signal on the parent's death covers shells between this one and the tool.
        run_waiting setpriv --pdeathsig KILL \
                unshare --mount --pid --ipc --uts --fork --kill-child --propagation private \
                bash "$TOOLS/lib/enter-inner" "$@"
}
