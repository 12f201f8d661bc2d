/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The agent as /init of the initrd that boots a kernel of the distribution (kata-image initrd): loads the
 * modules, sets up the verified devices that our own kernel would set up itself, and hands over to the
 * agent in the verified root, which then finds everything as if the kernel had mounted it.
 */

/*
 * Returns at once if the root is no such initrd. Else it does not return: it executes the agent of the
 * verified root, or ends the machine with the step that failed.
 */
void initrd_run(void);
