/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whose the sandbox of a name is. The name of a unit is the same for the operator's definitions, for this and
 * another --root of the command line and for other callers, so whoever makes a sandbox first puts a mark into its
 * run-time directory:
 *
 *      /run/kata/NAME/owner → ROOT      symbolic link: made in one step, or not at all
 *
 * It goes last when the command line clears up, and with the directory when the unit ends. A sandbox without it is
 * not made, joined, asked or stopped by the command line.
 *
 * host: where the file system of the host begins, NULL for itself (tests). root: --root; an absolute path.
 */

#include "basic/cleanup.h"

typedef enum SandboxOwner {
        SANDBOX_NOBODYS,        /* may be claimed */
        SANDBOX_OURS,
        SANDBOX_FOREIGN,        /* the operator's, or of another root */
        SANDBOX_UNMARKED,       /* another caller's; or its unit is at rest soon, and the service manager clears up */
} SandboxOwner;

/* For the last two ret_text (may be NULL) says whose it is, and what to do. Negative: it can not be told. */
int sandbox_owner(const char *host, const char *root, const char *sandbox, SandboxOwner *ret, char **ret_text);
/* The file in which the operator has defined a sandbox of that name; NULL: none. New string. */
int sandbox_definition(const char *host, const char *sandbox, char **ret);

/* The mark. 0 also if it is ours already; -EEXIST: it is somebody else's. */
int sandbox_claim(const char *host, const char *root, const char *sandbox, char **reterr_message);
/* The directory of one that is ours or nobody's, with its unit at rest; the mark goes last. */
int sandbox_clear(const char *host, const char *root, const char *sandbox, char **reterr_message);
