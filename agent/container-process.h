/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From the agent's privileges to those of a container process: limits, user, working directory,
 * capabilities, filter, program. Each function acts on the calling process, a child that is about
 * to exec inside the container's namespaces and root; the order of calls is that of the
 * declarations.
 */

#include "agent/container-process-plan.h"
#include "agent/container-seccomp.h"

/* proc_fd: root of a procfs of this pid namespace that the container cannot have changed. */
int process_set_attribute(int proc_fd, const char *path, const char *value);
int process_set_oom_score(const ProcessPlan *plan, int proc_fd, char **reterr_message);

/*
 * The environment as the program gets it: the configuration's, with HOME from the image's
 * /etc/passwd where it is not set.
 */
int process_make_env(const ProcessPlan *plan, Strv *ret, char **reterr_message);

/* Resource limits, bounding set, groups, user, directory. Permitted capabilities are kept. */
int process_become_user(const ProcessPlan *plan, char **reterr_message);

/*
 * Path of args[0], looked up as the user that will run it, in PATH of env. -ENOENT or -EACCES with
 * the words that container engines look for in the text ("executable file not found in $PATH").
 */
int process_find_program(const Strv *args, const Strv *env, char **ret, char **reterr_message);

/* Final capabilities, no_new_privs and seccomp (may be NULL), in the order that each allows. */
int process_confine(const ProcessPlan *plan, const SeccompPlan *seccomp, char **reterr_message);

/* One-line text for an execve() that failed with error. */
int process_exec_error(const char *program, int error, char **reterr_message);
