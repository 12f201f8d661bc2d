/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * iptables-save and iptables-restore (and ip6tables-*) of the guest image, run with bounded input and
 * output. Blocks: for workers, whose end ends the program as well.
 */

#include "basic/cleanup.h"

typedef struct IptablesCommand {
        const char *const *paths;       /* where the program may be, first one first; NULL at the end */
        const char *const *args;        /* behind the name; NULL at the end */
} IptablesCommand;

/* Saves (writes rules to its output) or restores (reads them). */
const IptablesCommand *iptables_command(bool ipv6, bool restore);

/*
 * Runs it with n bytes of input; what it prints is a new buffer. -EBUSY if the image does not have the
 * program; -EFBIG over IPTABLES_RULES_MAX either way; -EINVAL with the end of its error output when it
 * refuses the rules (exit status 1 or 2), -EIO for other ends.
 */
int iptables_run(const IptablesCommand *command, const void *input, size_t n, uint8_t **ret,
                 size_t *ret_size, char **reterr_message);
