/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * /proc/PID/mountinfo, of which only mount points are needed (proc_pid_mountinfo(5)). Names in it were
 * chosen by whoever made the directories.
 */

#include "basic/cleanup.h"

/*
 * Mount point of the first line of *text, as a new string with escapes undone; *text moves on. 1, 0 at the
 * end, -EBADMSG for a line of another form.
 */
int mountinfo_next(const char **text, char **ret);
