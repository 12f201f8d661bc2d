/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks in a file, and out of it again: see task-internal.h. Root's own file, still read as bounded, checked bytes:
 * it may be torn. */

#include <fcntl.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/parse.h"
#include "proto/agent.pb-c.h"
#include "proto/pb-arena.h"
#include "proto/task-state.pb-c.h"
#include "runtime/sandbox/state-file.h"
#include "runtime/task/task-internal.h"

#define STATE_VERSION 1U

typedef Kata__Systemd__V1__TaskProcessState ProcessState;
typedef Kata__Systemd__V1__TaskEntryState EntryState;
typedef Kata__Systemd__V1__TaskStateFile StateFile;

/* --- out --- */

static void describe_process(const TaskProcess *p, ProcessState *ret)
{
        kata__systemd__v1__task_process_state__init(ret);
        if (p->exec_id)
                ret->exec_id = p->exec_id;
        ret->phase = p->phase != TASK_STARTING ? (uint32_t) p->phase : p->preparing ? TASK_CREATED : TASK_RUNNING;
        ret->terminal = p->terminal;
        ret->stdin = p->stdin_path;
        ret->stdout = p->stdout_path;
        ret->stderr = p->stderr_path;
        ret->exit_status = p->exit_status;
        ret->exited_at = p->exited_at;
        ret->stdin_closed = p->stdin_closed;
        ret->width = p->width;
        ret->height = p->height;
        if (p->spec_text)
                ret->spec = (ProtobufCBinaryData) { .len = strlen(p->spec_text), .data = (uint8_t *) p->spec_text };
}

/* NULL: out of memory. Strings are those of the task. */
static EntryState *describe_task(PbArena *arena, const Task *task)
{
        EntryState *e = pb_arena_alloc(arena, sizeof(*e));
        size_t n = 0;

        if (!e)
                return NULL;
        kata__systemd__v1__task_entry_state__init(e);
        e->id = task->id;
        e->bundle = task->bundle;
        e->paused = task->paused;
        e->shares = task->shares.v;
        e->n_shares = task->shares.n;
        e->init = pb_arena_alloc(arena, sizeof(*e->init));
        for (const TaskProcess *p = task->execs; p; p = p->next)
                n++;
        e->execs = pb_arena_alloc(arena, (n + 1) * sizeof(*e->execs));
        if (!e->init || !e->execs)
                return NULL;

        describe_process(&task->init, e->init);
        for (const TaskProcess *p = task->execs; p; p = p->next) {
                ProcessState *state = pb_arena_alloc(arena, sizeof(*state));

                if (!state)
                        return NULL;
                if (p->dead)
                        continue;
                describe_process(p, state);
                e->execs[e->n_execs++] = state;
        }
        return e;
}

static int save(const TaskService *service)
{
        _cleanup_pb_arena_ PbArena arena = {};
        _cleanup_free_ uint8_t *data = NULL;
        _cleanup_free_ char *path = NULL;
        StateFile file = KATA__SYSTEMD__V1__TASK_STATE_FILE__INIT;
        size_t size;

        pb_arena_init(&arena, 0);
        if (asprintf(&path, "%s/" TASK_STATE_FILE, service->host.run_dir) < 0) {
                path = NULL;
                return -ENOMEM;
        }

        file.version = STATE_VERSION;
        file.serial = service->serial;
        file.tasks = pb_arena_alloc(&arena, TASK_PROCESSES_MAX * sizeof(*file.tasks));
        if (!file.tasks)
                return -ENOMEM;
        for (const Task *t = service->tasks; t; t = t->next) {
                if (t->init.dead)
                        continue;
                file.tasks[file.n_tasks] = describe_task(&arena, t);
                if (!file.tasks[file.n_tasks])
                        return -ENOMEM;
                file.n_tasks++;
        }

        size = kata__systemd__v1__task_state_file__get_packed_size(&file);
        if (size > TASK_STATE_MAX)
                return -EFBIG;
        data = new(uint8_t, size);
        if (!data)
                return -ENOMEM;
        kata__systemd__v1__task_state_file__pack(&file, data);
        return write_file_atomic(path, data, size, 0600);
}

void task_state_save(const TaskService *service)
{
        int r = save(service);

        if (r < 0)
                log_warning_errno(r, "'%s/" TASK_STATE_FILE "' can not be written: a supervisor that takes over would "
                                  "not know all containers", service->host.run_dir);
}

/* --- in --- */

static bool process_is_valid(const ProcessState *s, bool init)
{
        return s->phase >= TASK_CREATING && s->phase <= TASK_STOPPED && s->exit_status <= 255 &&
               (init ? !*s->exec_id : id_is_valid(s->exec_id, CONTAINER_ID_MAX) && s->phase != TASK_CREATING) &&
               s->spec.len <= OCI_CONFIG_MAX;
}

/* Plan: everything is there or nothing, and nothing is asked of the guest yet. */
static int fill_process(TaskProcess *p, Task *task, const ProcessState *s)
{
        int r = task_process_init(p, task, *s->exec_id ? s->exec_id : NULL, s->terminal, s->stdin, s->stdout,
                                  s->stderr);

        p->phase = (TaskPhase) s->phase;
        p->exit_status = s->exit_status;
        p->exited_at = s->exited_at;
        p->stdin_closed = s->stdin_closed;
        p->width = s->width;
        p->height = s->height;
        if (r >= 0 && s->spec.len > 0) {
                p->spec_text = strndup((const char *) s->spec.data, s->spec.len);
                r = p->spec_text ? 0 : -ENOMEM;
        }
        return r;
}

static int fill_task(TaskService *service, const EntryState *e)
{
        Task *task;
        int r;

        if (!id_is_valid(e->id, CONTAINER_ID_MAX) || task_find(service, e->id) || !e->init ||
            !process_is_valid(e->init, true))
                return -EBADMSG;
        r = task_new(service, e->id, e->bundle, &task);
        if (r < 0)
                return r;

        r = fill_process(&task->init, task, e->init);
        task->paused = e->paused;
        for (size_t i = 0; r >= 0 && i < e->n_shares; i++)
                r = strv_add(&task->shares, e->shares[i]);
        for (size_t i = 0; r >= 0 && i < e->n_execs; i++) {
                TaskProcess *p;

                if (!process_is_valid(e->execs[i], false) || task_find_process(task, e->execs[i]->exec_id) ||
                    task_service_n_processes(service) >= TASK_PROCESSES_MAX)
                        return -EBADMSG;
                p = new0(TaskProcess, 1);
                if (!p)
                        return -ENOMEM;
                r = fill_process(p, task, e->execs[i]);
                p->next = task->execs;
                task->execs = p;
        }
        return r;
}

/* --- the processes that run --- */

static void resume_streams(TaskProcess *p);

static void streams_failed(TaskProcess *p, int error, const char *text)
{
        log_warning("Streams of process %s of container '%s' can not be opened again: %s", task_process_id(p),
                    p->task->id, error_text(text, error));
}

/* Whether the process is there at all, the answer about its exit says. */
static void on_attached(TaskOp *op, int error, const char *text, const void *message)
{
        TaskProcess *p = op->process;

        if (error >= 0 || error == -ECONNRESET || p->dead)
                return;
        p->io = task_io_free(p->io, p->task->service->host.transport);
        /* FAILED_PRECONDITION: it has closed its input meanwhile. */
        if (error == -EBUSY && !p->stdin_closed) {
                p->stdin_closed = true;
                resume_streams(p);
                return;
        }
        streams_failed(p, error, text);
}

static void on_connected(TaskIo *io, int error, const char *text, void *userdata)
{
        TaskProcess *p = userdata;
        TaskService *service = p->task->service;
        const AgentStdio stdio = task_io_ports(io);
        TaskOp *op;

        if (error < 0) {
                streams_failed(p, error, text);
                return;
        }
        op = task_op_new(p, NULL, on_attached);
        if (op)
                (void) TASK_OP_SEND(op, agent_attach_stdio(task_agent(service), p->task->id, p->exec_id, &stdio,
                                                           service->host.request_timeout, task_op_reply, op));
}

static void resume_streams(TaskProcess *p)
{
        TaskIoParams io = task_process_io_params(p);
        _cleanup_free_ char *message = NULL;
        TaskService *service = p->task->service;
        int r;

        /* The agent has closed it as well and takes no other. */
        if (p->stdin_closed)
                io.stdin_path = "";
        r = task_io_new(&p->io, &io, &message);
        if (r >= 0)
                r = task_io_connect(p->io, service->host.transport, on_connected, p);
        if (r < 0)
                streams_failed(p, r, message);
}

static void resume_process(TaskProcess *p)
{
        if (p->phase != TASK_RUNNING && (p->phase != TASK_CREATED || !task_process_is_init(p)))
                return;

        resume_streams(p);
        (void) task_process_watch(p);
}

static void resume_task(Task *task)
{
        /* It was on its way: nobody has been told of it. */
        if (task->init.phase == TASK_CREATING) {
                task->init.deleting = true;
                task_container_remove(task);
                return;
        }
        resume_process(&task->init);
        for (TaskProcess *p = task->execs; p; p = p->next)
                resume_process(p);
}

int task_state_load(TaskService *service, const char *path, char **reterr_message)
{
        _cleanup_pb_arena_ PbArena arena = {};
        _cleanup_free_ char *data = NULL;
        StateFile *file;
        size_t size;
        int r;

        pb_arena_init(&arena, 2 * TASK_STATE_MAX);
        r = read_file_at(AT_FDCWD, path, TASK_STATE_MAX, &data, &size);
        if (r == -ENOENT)
                return r;
        if (r >= 0)
                r = pb_unpack(&kata__systemd__v1__task_state_file__descriptor, &arena, data, size, &file);
        if (r >= 0 && file->version != STATE_VERSION)
                r = -EOPNOTSUPP;
        if (r >= 0 && file->n_tasks > TASK_PROCESSES_MAX)
                r = -E2BIG;
        for (size_t i = 0; r >= 0 && i < file->n_tasks; i++)
                r = fill_task(service, file->tasks[i]);
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' is not the state of tasks: %s", path, strerror(-r));

        service->serial = file->serial;
        for (Task *t = service->tasks; t; t = t->next)
                resume_task(t);
        return 0;
}
