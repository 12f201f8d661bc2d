/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A child in two steps: forked at once and paused, so that it can be put into its own scope, and
 * executed when it is released. Whoever forked it dies first: the child sees the end of its pipe
 * and exits. Between release and exec it gives up everything that was not asked for: descriptors,
 * identity, capabilities, signal settings.
 *
 *      paused → released → executed → exited         (exited may follow on any of them)
 *
 * Host side, runs as root; used for the VMM and its helpers.
 */

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "basic/cleanup.h"
#include "basic/limits.h"
#include "basic/pidref.h"

#define SPAWN_KEEP_ID ((uid_t) -1)

typedef struct SpawnParams {
        const char *path;               /* absolute */
        char *const *argv;
        char *const *envp;              /* NULL: only PATH */

        int fds[SPAWN_FDS_MAX];         /* become 3, 4, 5 … in this order; the caller keeps his */
        size_t n_fds;
        int stdout_fd, stderr_fd;       /* -EBADF: /dev/null. stdin is always /dev/null */

        /* SPAWN_KEEP_ID: as the caller, then gid and groups are not looked at */
        uid_t uid;
        gid_t gid;
        const gid_t *groups;
        size_t n_groups;
        /* mask of 1 << CAP_*; what uid 0 may still have after exec */
        uint64_t keep_caps;

        int oom_score_adj;              /* 0: as the caller */
        int netns_fd;                   /* network namespace to be in; -EBADF: as the caller */
        /* RLIMIT_NOFILE, at most the hard limit; 0: as the caller */
        uint64_t nofile;
} SpawnParams;

#define SPAWN_PARAMS_INIT                                                                          \
        ((SpawnParams) {                                                                           \
                .stdout_fd = -EBADF, .stderr_fd = -EBADF, .uid = SPAWN_KEEP_ID, .gid = (gid_t) -1, \
                .netns_fd = -EBADF,                                                                \
        })

/* Appends a descriptor and returns the number it will have in the program, or -E2BIG. */
int spawn_params_add_fd(SpawnParams *params, int fd);

typedef struct Spawn Spawn;

typedef struct SpawnHandlers {
        /*
         * error 0: the program runs. Else text says what failed ("exec of /usr/bin/x: No such file
         * …"); on_exit follows.
         */
        void (*on_exec)(Spawn *spawn, int error, const char *text, void *userdata);
        /*
         * code, status: si_code and si_status of waitid(2). The child has been reaped; may free
         * spawn.
         */
        void (*on_exit)(Spawn *spawn, int code, int status, void *userdata);
} SpawnHandlers;

/* Forks the paused child. handlers is copied. */
int spawn_new(sd_event *event, const SpawnParams *params, const SpawnHandlers *handlers,
                void *userdata, Spawn **ret, char **reterr_message);

/* A child that is still paused is killed and reaped; one that was released goes on, unobserved. */
Spawn *spawn_free(Spawn *spawn);
DEFINE_CLEANUP_FUNC(Spawn *, spawn_free)

const PidRef *spawn_pid(const Spawn *spawn);

/* -EALREADY the second time, -ESRCH if the child is gone. */
int spawn_release(Spawn *spawn);

int spawn_kill(Spawn *spawn, int sig);

/*
 * Text for the end of a process: "exited with status 1", "was killed by signal SEGV". New string.
 */
char *process_exit_text(int code, int status);
