/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The agent's end of the socket pair to a set-up child (container-child.h): messages, the descriptors that
 * come with them, and the hang-up that tells of exec or death. What arrives is bounded; texts are made
 * printable, since names from the image are in them. Nothing here blocks.
 */

#include "agent/container-child.h"
#include "agent/loop.h"

typedef struct ChildLink ChildLink;

struct ChildLink {
        LoopSource *source;
        int fd;                 /* -EBADF: closed */
        bool exec_seen;         /* the child said that execve() is next */
        int error;              /* CHILD_ERROR: what it failed with first */
        char *message;
        /*
         * READY, TERMINAL, JOINED, PREPARED, ROOT. fd came with it and is the handler's, -EBADF if none. Must not call
         * child_link_done().
         */
        void (*on_message)(ChildLink *link, ChildMessageKind kind, int fd);
        /* No copy of the child's end is left; the link is closed. */
        void (*on_end)(ChildLink *link);
};

#define CHILD_LINK_NULL ((ChildLink) { .fd = -EBADF })

/* *ret_child_fd is the child's end and the caller's. */
int child_link_open(ChildLink *link, int *ret_child_fd);
int child_link_watch(ChildLink *link, Loop *loop);

/* The one byte that the child waits for. -ESRCH if it is gone. */
int child_link_go(ChildLink *link);

/* Takes what is there: for the moment in which the child's exit is known. */
void child_link_read(ChildLink *link);

void child_link_close(ChildLink *link);
void child_link_done(ChildLink *link);
