/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The body of the Task service, shared by the task-*.c files:
 *
 *      task.c              the service: objects, the way down
 *      task-container.c    containers: create, delete, pause, numbers
 *      task-update.c       containers: new limits
 *      task-process.c      processes: start, exit, wait, signals, terminals
 *      task-exec.c         further processes: made, started
 *      task-state.c        the file of a supervisor that takes over; taking over
 *      task-methods.c      methods: a request's fields → the functions here
 *
 * Objects that an operation still refers to are only marked dead; they are swept from the loop.
 */

#include "proto/task.pb-c.h"
#include "runtime/oci/spec-load.h"
#include "runtime/task/task-io.h"
#include "runtime/task/task.h"
#include "runtime/task/ttrpc-server.h"

typedef struct Task Task;
typedef struct TaskProcess TaskProcess;
typedef struct TaskOp TaskOp;
typedef struct TaskUpdate TaskUpdate;

/* As in the state file (proto/task-state.proto). */
typedef enum TaskPhase {
        TASK_CREATING = 1,
        TASK_CREATED,
        TASK_RUNNING,
        TASK_STOPPED,
        TASK_STARTING,          /* not in the file: RUNNING */
} TaskPhase;

typedef struct TaskWaiter {
        struct TaskWaiter *next;
        TaskProcess *process;
        TtrpcCall *call;
        bool stands_for;
} TaskWaiter;

struct TaskProcess {
        Task *task;
        TaskProcess *next;
        char *exec_id;                  /* NULL: the init process */
        TaskPhase phase;
        bool dead;                      /* nobody finds it any more */
        bool orphaned;                  /* whoever stood for it on the host is gone, and does not delete it */
        unsigned n_ops;

        char *stdin_path, *stdout_path, *stderr_path;
        bool terminal, stdin_closed;
        uint32_t width, height;         /* 0: nobody has said */
        TaskIo *io;

        OciSpec *spec;                  /* until the agent has it */
        char *spec_text;                /* of an exec that has not been started: its JSON */

        bool preparing;                 /* STARTING, and the agent has not been asked for it yet */
        bool exit_pending;              /* it exited before the answer to its start was here */
        uint32_t exit_status;           /* once STOPPED */
        usec_t exited_at;               /* CLOCK_REALTIME */
        TaskWaiter *waiters;
        size_t n_waiters;

        TtrpcCall *call;                /* of Create, Start or Delete, which never overlap */
        bool deleting;
        sd_event_source *drain_timer;   /* of Delete */
        sd_event_source *orphan_timer;  /* whoever stood for it is gone */
};

struct Task {
        TaskService *service;
        Task *next;
        char *id, *bundle;
        TaskProcess init;
        TaskProcess *execs;
        bool paused, pausing;
        usec_t oom_logged;              /* the last line about lack of memory; CLOCK_MONOTONIC, 0: none */
        Strv shares;                    /* names in the shared directory */
};

struct TaskService {
        TaskHost host;                  /* agent and transport are NULL once the guest is gone */
        bool guest_gone;
        TtrpcServer *server;
        Task *tasks;
        TaskOp *ops;
        TaskUpdate *update;             /* of limits of the machine; NULL: none under way */
        TaskEvents events;
        uint32_t serial;                /* of the last container */
        bool hurry;                     /* readers of output are not waited for */
        sd_event_source *sweep;
        sd_event_source *idle_timer;
};

/* --- task.c --- */

/* Not those that are dead. */
Task *task_find(const TaskService *service, const char *id);
bool task_service_is_empty(const TaskService *service);
size_t task_service_n_processes(const TaskService *service);
int task_new(TaskService *service, const char *id, const char *bundle, Task **ret);
/* Dead from now on. */
void task_release(Task *task);
void task_process_release(TaskProcess *p);
void task_service_sweep_later(TaskService *service);
/* After anything ended: idle timer, the way down. */
void task_service_changed(TaskService *service);
void task_service_add_event(TaskService *service, const ProtobufCMessage *message);

/*
 * A call to the agent on its way. done gets what a TtrpcReplyHandler gets, once; after that the operation is gone.
 * call, if it is not NULL, is the client's, held: NULL once the client has left.
 */
typedef void (*TaskOpDone)(TaskOp *op, int error, const char *text, const void *message);
struct TaskOp {
        TaskProcess *process;
        TaskOp *prev, *next;
        TtrpcCall *call;
        TaskOpDone done;
};
/* NULL: out of memory. The operation is to be given to an agent_*() with task_op_reply as its handler. */
TaskOp *task_op_new(TaskProcess *p, TtrpcCall *call, TaskOpDone done);
void task_op_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata);
/* After that call failed at once: the same as an answer, but from the loop would be too late. r passed through. */
int task_op_started(TaskOp *op, int r);
/* NULL once the guest is gone. */
TtrpcClient *task_agent(const TaskService *service);
/* Both in one: expression is an agent_*() with task_op_reply and op at its end. */
#define TASK_OP_SEND(op, expression)                                                               \
        ({                                                                                         \
                TaskOp *_op_ = (op);                                                               \
                task_op_started(_op_, task_agent(_op_->process->task->service) ? (expression) : -ECONNRESET); \
        })
/* done of an operation that has nothing to do but to answer its client. */
void task_op_answer(TaskOp *op, int error, const char *text, const void *message);

/* --- task-process.c --- */

static inline const char *task_process_id(const TaskProcess *p)
{
        return p->exec_id ? p->exec_id : p->task->id;
}

static inline bool task_process_is_init(const TaskProcess *p)
{
        return !p->exec_id;
}

int task_process_init(TaskProcess *p, Task *task, const char *exec_id, bool terminal, const char *in,
                      const char *out, const char *err);
void task_process_done(TaskProcess *p);
TaskIoParams task_process_io_params(TaskProcess *p);
/* NULL: the init process and all that is. */
TaskProcess *task_find_process(Task *task, const char *exec_id);
Containerd__Task__V2__Status task_process_status(const TaskProcess *p);
void task_process_start(TaskProcess *p, TtrpcCall *call);
/* The two ends of a start; the call is answered. */
void task_process_started(TaskProcess *p);
void task_process_start_failed(TaskProcess *p, int error, const char *text);
/* Asks the agent for the exit status. */
int task_process_watch(TaskProcess *p);
void task_process_exited(TaskProcess *p, uint32_t status);
/* It was never started and never will be: nothing is reported, but whoever waits is not left waiting. */
void task_process_give_up(TaskProcess *p);
/* stands_for: the process is killed when the client is gone and none like it has come soon after. */
void task_process_wait(TaskProcess *p, TtrpcCall *call, bool stands_for);
void task_process_kill(TaskProcess *p, TtrpcCall *call, uint32_t sig, bool all);
void task_process_resize(TaskProcess *p, TtrpcCall *call, uint32_t width, uint32_t height);
void task_process_close_stdin(TaskProcess *p);
/* Of both kinds: stopped or never started. Goes on in task_container_remove() or task_exec_removed(). */
void task_process_delete(TaskProcess *p, TtrpcCall *call);
void task_process_delete_continue(TaskProcess *p);
/* Answers the call of Delete. */
void task_process_answer_delete(TaskProcess *p);
Google__Protobuf__Timestamp task_timestamp(usec_t usec);

/* --- task-exec.c --- */

void task_exec_create(Task *task, TtrpcCall *call, const Containerd__Task__V2__ExecProcessRequest *q);
void task_exec_start(TaskProcess *p);

/* --- task-container.c --- */

void task_container_create(TaskService *service, TtrpcCall *call,
                           const Containerd__Task__V2__CreateTaskRequest *q);
void task_container_remove(Task *task);
void task_container_pause(Task *task, TtrpcCall *call, bool pause);
void task_container_stats(Task *task, TtrpcCall *call);

/* --- task-update.c --- */

void task_container_update(Task *task, TtrpcCall *call, const Containerd__Task__V2__UpdateTaskRequest *q);
TaskUpdate *task_update_free(TaskUpdate *update);

/* --- task-state.c --- */

/* Failures are logged: the next supervisor would know less, this one goes on. */
void task_state_save(const TaskService *service);
int task_state_load(TaskService *service, const char *path, char **reterr_message);

/* --- method-table.c --- */

extern const char *const task_service_names[];
const TtrpcMethod *task_methods(size_t *ret_n);
