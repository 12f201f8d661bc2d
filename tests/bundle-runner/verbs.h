/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the commands do. Messages have the words that callers of runc look for. */

#include "tests/bundle-runner/options.h"
#include "tests/bundle-runner/status.h"

/* 0 or a negative errno; for these two the exit status of the process. */
int verb_exec(const Options *options, char **reterr_message);
int verb_run(const Options *options, char **reterr_message);

/* Of the others, one function each. */
int verb_create(const Options *options, char **reterr_message);
int verb_start(const Options *options, char **reterr_message);
int verb_state(const Options *options, char **reterr_message);
int verb_kill(const Options *options, char **reterr_message);
int verb_pause(const Options *options, char **reterr_message);
int verb_resume(const Options *options, char **reterr_message);
int verb_delete(const Options *options, char **reterr_message);
int verb_list(const Options *options, char **reterr_message);

/* What the commands share. */

typedef struct Opened {
        Record record;
        Session *session;       /* NULL: the agent is gone */
        Status status;
} Opened;

void opened_done(Opened *opened);

/* The container of the command line; -ENOENT if it does not exist. */
int open_container(const Options *options, Opened *ret, char **reterr_message);

/* The exit status of a process, once it has one. Signals to this process go to it meanwhile. */
int wait_for_exit(Opened *c, const char *exec_id, char **reterr_message);
