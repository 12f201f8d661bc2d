/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Content of the debug extension: busybox under all its names, strace, gdbserver and iproute2, from below
 * root, where their Debian packages are installed. For the guest's /opt/kata-debug.
 */

#include "guest-image/tree.h"

int debug_tree_plan(Tree *tree, const char *root, char **reterr_message);
