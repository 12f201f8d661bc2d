/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Command line of the bundle runner: runc's, as far as the runner does what it says. An option that it knows
 * and can not do is an error with a reason, an unknown one is an error as well.
 */

#include "basic/cleanup.h"

#define OPTION_LIST_MAX 64U

typedef enum Verb {
        VERB_CREATE,
        VERB_START,
        VERB_STATE,
        VERB_KILL,
        VERB_DELETE,
        VERB_RUN,
        VERB_EXEC,
        VERB_PAUSE,
        VERB_RESUME,
        VERB_LIST,
        VERB_HELP,              /* was printed; so was the version */
        _VERB_MAX,
} Verb;

/* Strings are those of argv. */
typedef struct Options {
        Verb verb;
        const char *root;       /* directory of states */
        const char *agent;      /* program */
        const char *log;        /* NULL: none */
        bool log_json;
        const char *id;         /* NULL for list */
        const char *bundle;     /* NULL: the working directory */
        const char *config;     /* NULL: config.json of the bundle */
        const char *pid_file;   /* NULL: none */
        bool detach, keep, force, all, quiet, json;
        int signal;

        /* exec; what is not given is the container's */
        char *const *args;              /* NULL-terminated; NULL: those of process */
        const char *process;            /* file with an OCI process object, or NULL */
        const char *cwd, *user;         /* user: "UID" or "UID:GID" */
        const char *env[OPTION_LIST_MAX], *caps[OPTION_LIST_MAX];
        size_t n_env, n_caps;
        bool no_new_privileges;
} Options;

/* Exit statuses of runc 1.1. */
#define RUNNER_FAILED 1
#define RUNNER_NO_SUCH_COMMAND 3

/* 0, or -EINVAL for bad usage, -EOPNOTSUPP for what is refused, -ENOENT for an unknown command. */
int options_parse(int argc, char *argv[], Options *ret, char **reterr_message);

/* "9", "KILL", "SIGKILL", "RTMIN+3" → number, or -EINVAL. */
int signal_parse(const char *s);
