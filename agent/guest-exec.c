/* SPDX-License-Identifier: Apache-2.0 */
/* Further processes of containers: see guest-exec.h. Requests are the host's; the text of failures may hold
 * names from the tenant's image and was made printable by the engine. */

#include "agent/guest-exec.h"

#include <signal.h>

#include "agent/container-exec.h"
#include "basic/error.h"
#include "basic/limits.h"
#include "basic/log.h"

#define LINGER_USEC (10 * USEC_PER_SEC)
/* The ends of its pipes come right behind the end of a process. */
#define LINGER_FIRST_USEC (20 * USEC_PER_MSEC)

typedef enum ExecPhase {
        EXEC_CLAIMING,
        EXEC_STARTING,
        EXEC_RUNNING,
        EXEC_EXITED,
} ExecPhase;

struct GuestExec {
        GuestContainer *gc;
        GuestExec *prev, *next;         /* newest first */
        char *id;
        ExecPhase phase;
        bool gone;
        GuestProcess *process;
        ContainerExec *engine;
        Request *request;
        const Grpc__ExecProcessRequest *input;  /* until the engine has taken it */
        const Kata__Systemd__V1__SpecExtension *extension;      /* the same */
        LoopSource *linger_timer;
        usec_t linger_end;
};

GuestProcess *guest_exec_process(const GuestExec *e)
{
        return e->process;
}

bool guest_exec_is_gone(const GuestExec *e)
{
        return e->gone;
}

GuestExec *guest_exec_find(const GuestContainer *gc, const char *exec_id)
{
        for (GuestExec *e = *guest_container_execs(gc); e; e = e->next)
                if (streq(e->id, exec_id))
                        return e;

        return NULL;
}

static GuestExec *exec_free(GuestExec *e)
{
        GuestExec **list = guest_container_execs(e->gc);

        if (e->prev)
                e->prev->next = e->next;
        else if (*list == e)
                *list = e->next;
        if (e->next)
                e->next->prev = e->prev;

        container_exec_free(e->engine);
        guest_process_free(e->process);
        loop_source_free(e->linger_timer);
        free(e->id);
        free(e);
        return NULL;
}

static void fail(GuestExec *e, int error, const char *message)
{
        Request *request = TAKE_PTR(e->request);

        log_debug("Container %s: exec %s: %s", guest_container_id(e->gc), e->id,
                  error_text(message, error));
        if (request)
                request_fail_errno(request, error, message);
        /* As a shell reports it. */
        guest_process_set_exited(e->process, error == -ENOENT ? 127 : 126);
        exec_free(e);
}

static void on_linger_time(LoopSource *source, void *userdata)
{
        GuestExec *e = userdata;

        if (guest_process_is_drained(e->process) || now_usec() >= e->linger_end ||
            loop_source_set_time(source, e->linger_end) < 0)
                exec_free(e);
}

/* The status is told. */
static void set_gone(GuestExec *e)
{
        Loop *loop = sandbox_loop(guest_container_sandbox(e->gc));

        guest_process_linger(e->process);
        e->gone = true;
        e->linger_end = now_usec() + LINGER_USEC;
        if (guest_process_is_drained(e->process) ||
            loop_add_time(loop, &e->linger_timer, now_usec() + LINGER_FIRST_USEC, on_linger_time, e) < 0)
                exec_free(e);
}

void guest_exec_wait(GuestExec *e, Request *request)
{
        int status;

        guest_process_wait(e->process, request);
        if (guest_process_exited(e->process, &status) && guest_process_was_answered(e->process))
                set_gone(e);
}

int guest_exec_signal(const GuestExec *e, int sig)
{
        if (e->phase == EXEC_EXITED)
                return -ESRCH;
        return e->engine ? container_exec_signal(e->engine, sig) : -EBUSY;
}

static void on_terminal(ContainerExec *engine, int fd, void *userdata)
{
        GuestExec *e = userdata;

        guest_process_set_terminal(e->process, fd);
}

static void on_started(ContainerExec *engine, int error, const char *message, void *userdata)
{
        GuestExec *e = userdata;
        Request *request;

        if (error < 0)
                return fail(e, error, message);

        e->phase = EXEC_RUNNING;
        log_debug("Container %s: exec %s started, pid %d", guest_container_id(e->gc), e->id,
                  (int) container_exec_pid(engine));
        request = TAKE_PTR(e->request);
        if (request)
                request_reply(request, NULL);
}

static void on_exit_status(ContainerExec *engine, int status, void *userdata)
{
        GuestExec *e = userdata;

        log_debug("Container %s: exec %s exited with status %d", guest_container_id(e->gc), e->id, status);
        e->phase = EXEC_EXITED;
        e->engine = container_exec_free(e->engine);
        guest_process_set_exited(e->process, status);
        if (guest_process_was_answered(e->process))
                set_gone(e);
}

static void step_start(GuestExec *e)
{
        const ContainerExecHandlers handlers = {
                .on_terminal = on_terminal, .on_started = on_started, .on_exit = on_exit_status,
                .userdata = e,
        };
        Container *engine = guest_container_engine(e->gc);
        _cleanup_free_ char *message = NULL;
        ContainerIo io;
        int r;

        if (!engine)
                return fail(e, -EBUSY, "the container is being removed");

        r = guest_process_open(e->process, e->input->process, &io, &message);
        if (r < 0)
                return fail(e, r, message);

        e->phase = EXEC_STARTING;
        r = container_exec(&e->engine, engine, e->input->process, e->extension, &io, &handlers, &message);
        e->input = NULL;
        e->extension = NULL;
        guest_io_close(&io);
        if (r < 0) {
                e->engine = NULL;
                fail(e, r, message);
        }
}

static void on_streams(int error, const char *message, void *userdata)
{
        GuestExec *e = userdata;

        if (error < 0)
                return fail(e, error, message);
        step_start(e);
}

/* Nobody would know of the process. */
static void on_cancelled(Request *request, void *userdata)
{
        GuestExec *e = userdata;

        e->request = NULL;
        guest_process_set_exited(e->process, 128 + SIGKILL);
        exec_free(e);
}

/* Room for one more; what nobody waited for goes first, the oldest of it. */
static int make_room(GuestContainer *gc)
{
        GuestExec *oldest_gone = NULL, *oldest_exited = NULL, *victim;
        size_t n = 0;

        for (GuestExec *e = *guest_container_execs(gc); e; e = e->next) {
                n++;
                if (e->gone)
                        oldest_gone = e;
                else if (e->phase == EXEC_EXITED)
                        oldest_exited = e;
        }
        if (n < EXECS_MAX)
                return 0;

        victim = oldest_gone ? oldest_gone : oldest_exited;
        if (!victim)
                return -EUSERS;
        if (!victim->gone)
                log_warning("Container %s: the exit status of exec %s is dropped, nobody has waited for it",
                            guest_container_id(gc), victim->id);
        exec_free(victim);
        return 0;
}

/* NULL if the request may go on. */
static const char *refusal(const Grpc__ExecProcessRequest *input, TtrpcCode *ret_code)
{
        *ret_code = TTRPC_INVALID_ARGUMENT;
        if (!id_is_valid(input->exec_id, CONTAINER_ID_MAX))
                return "invalid exec_id";
        if (!input->process)
                return "the request has no process";
        /* string_user is not looked at, as in upstream's agent. */
        return NULL;
}

void guest_exec_create(GuestContainer *gc, Request *request, const Grpc__ExecProcessRequest *input,
                       const Kata__Systemd__V1__SpecExtension *extension)
{
        const uint32_t ports[_GUEST_STREAM_MAX] = {
                input->stdin_port, input->stdout_port, input->stderr_port,
        };
        GuestExec **list = guest_container_execs(gc), *e;
        const char *id = guest_container_id(gc), *text;
        TtrpcCode code;
        int r;

        text = refusal(input, &code);
        if (text)
                return request_fail(request, code, "container %s: %s", id, text);
        if (!guest_container_engine(gc))
                return request_fail(request, TTRPC_FAILED_PRECONDITION, "container %s is not created", id);
        e = guest_exec_find(gc, input->exec_id);
        if (e && e->gone)
                e = exec_free(e);
        if (e || streq(input->exec_id, id))
                return request_fail(request, TTRPC_ALREADY_EXISTS, "container %s has a process '%s' already",
                                    id, input->exec_id);
        if (make_room(gc) < 0)
                return request_fail(request, TTRPC_RESOURCE_EXHAUSTED, "container %s has %u processes of "
                                    "ExecProcess already", id, EXECS_MAX);
        if (request_keep_input(request) < 0)
                return request_fail(request, TTRPC_RESOURCE_EXHAUSTED, "too many requests at once");

        e = new0(GuestExec, 1);
        if (!e)
                return request_fail_errno(request, -ENOMEM, NULL);
        *e = (GuestExec) {
                .gc = gc, .next = *list, .request = request, .input = input, .extension = extension,
                .id = strdup(input->exec_id),
        };
        if (*list)
                (*list)->prev = e;
        *list = e;
        r = e->id ? guest_process_new(&e->process, guest_container_sandbox(gc), ports) : -ENOMEM;
        if (r < 0) {
                exec_free(e);
                return request_fail_errno(request, r, NULL);
        }
        guest_process_set_hangup(e->process);
        request_on_cancel(request, on_cancelled, e);

        r = guest_process_claim(e->process, on_streams, e);
        if (r < 0)
                return fail(e, r, NULL);
        if (r == 0)
                step_start(e);
}

void guest_execs_end(GuestContainer *gc)
{
        GuestExec **list = guest_container_execs(gc);

        while (*list) {
                GuestExec *e = *list;
                Request *request = TAKE_PTR(e->request);

                guest_process_set_exited(e->process, 128 + SIGKILL);
                guest_process_linger(e->process);
                if (request)
                        request_fail_errno(request, -ECANCELED, "the container was removed");
                exec_free(e);
        }
}

void guest_execs_free(GuestContainer *gc)
{
        GuestExec **list = guest_container_execs(gc);

        while (*list) {
                if ((*list)->request)
                        request_on_cancel((*list)->request, NULL, NULL);
                exec_free(*list);
        }
}
