/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * containerd's Task service for one sandbox: the containers that callers create in it, and their processes.
 *
 *      Create → created → Start → running → (exit) → stopped → Delete
 *                 └ Exec → created → Start → running → (exit) → stopped → Delete     further processes
 *
 * Every request is answered from the loop; those that have to ask the guest, later. An operation goes on when
 * its caller has left. What is known of tasks is kept in RUN_DIR/task.state, so that a supervisor that takes the
 * machine over knows them (task_service_resume()).
 *
 * Clients are privileged (ttrpc-server.h), and still bounded: tasks, processes, waiters, lengths of paths.
 * The guest is hostile: an answer that it does not give costs the operation its deadline and nothing else.
 */

#include "runtime/agent-client/agent.h"
#include "runtime/agent-client/transport.h"
#include "runtime/log/relay.h"
#include "runtime/sandbox/sandbox-guest.h"
#include "runtime/task/task-events.h"

typedef struct TaskService TaskService;

/* The sandbox as tasks see it; everything outlives the service or is taken from it (task_service_guest_gone()). */
typedef struct TaskHost {
        sd_event *event;
        TtrpcClient *agent;
        Transport *transport;
        Relay *relay;
        const char *run_dir;
        pid_t vm_pid;                   /* the process of this host that clients see as the task's */
        usec_t request_timeout;
        usec_t orphan_grace;            /* how long a process lives on when nobody of the host stands for it any more */
        /* What the guest sees as OCI_GUEST_SHARE/NAME from now on; namespace_fd as in share_add_live(). */
        int (*share_add)(void *userdata, const char *name, const char *source, bool read_only, bool recursive,
                         int namespace_fd, char **reterr_message);
        void (*share_remove)(void *userdata, const char *name);
        /* Limits of the scope, as sandbox_set_limits(); done comes from the loop, and not after the guest is gone. */
        int (*set_limits)(void *userdata, const ScopeLimits *limits, SandboxLimitsDone done, void *done_userdata,
                          char **reterr_message);
        /*
         * Before the program of a container starts. 0: it may; 1: it may when done is called without an error, which
         * may be at once; else -errno with a text. NULL: it always may.
         */
        int (*prepare_start)(void *userdata, TtrpcReplyHandler done, void *done_userdata, char **reterr_message);
        /* A client wants the sandbox to end, or nobody has wanted anything of it for a long time. */
        void (*on_shutdown)(void *userdata, const char *why);
        /* Something ended: task_service_is_down() may have another answer. */
        void (*on_change)(void *userdata);
        void *userdata;
} TaskHost;

int task_service_new(TaskService **ret, const TaskHost *host);
/* Waiting clients lose their connection. Accepts NULL, returns NULL. */
TaskService *task_service_free(TaskService *service);
DEFINE_CLEANUP_FUNC(TaskService *, task_service_free)

/* After an earlier supervisor: what its file says of tasks, with new streams to the guest. No file: no tasks. */
int task_service_resume(TaskService *service, char **reterr_message);

/* Serves on a listening socket, which it takes on success. */
int task_service_listen(TaskService *service, int fd);
/* The same with a connection. */
int task_service_add_client(TaskService *service, int fd);

/* The way down. Asks all containers to end, or kills them and no longer waits for readers of their output. */
void task_service_signal_all(TaskService *service, bool kill);
/* Nothing runs, and what was written is where it belongs. */
bool task_service_is_down(const TaskService *service);
/* The agent's client is freed, the transport will be: whatever still ran was killed, whoever waits is told. */
void task_service_guest_gone(TaskService *service);

/* What has happened, for those who want to be told. */
TaskEvents *task_service_events(TaskService *service);
