/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a guest image may have besides the agent, for those who ask for it: programs that a worker of the agent
 * executes, and modules of a kernel. Added to a plan of tree.h, which has to be sorted afterwards.
 */

#include "guest-image/build.h"

/*
 * For GetIPTables and SetIPTables: xtables-nft-multi of the package iptables below root, under the four names that the
 * agent executes, its libraries, and the plugins for matches and targets of IPv4 and IPv6.
 */
int extra_tree_iptables(Tree *tree, const char *root, char **reterr_message);

/*
 * For kernel_modules of CreateSandbox: the modules of options->modules_list and those that they need, as files of
 * /usr/lib/modules/RELEASE, with a modules.dep (modules.dep(5)) of these alone. Soft dependencies count as
 * dependencies, for nothing in the guest could load them later.
 */
int extra_tree_modules(Tree *tree, const BuildOptions *options, char **reterr_message);
