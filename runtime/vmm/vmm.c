/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a VMM, common to all back ends: see vmm.h. Guest and VMM are hostile. */

#include "runtime/vmm/vmm.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/unix-socket.h"
#include "runtime/vmm/vmm-internal.h"

static const char *const vmm_phase_table[_VMM_PHASE_MAX] = {
        [VMM_NEW] = "new",
        [VMM_SPAWNED] = "spawned",
        [VMM_LAUNCHED] = "launched",
        [VMM_RUNNING] = "running",
        [VMM_EXITED] = "exited",
};

/* What may follow what; everything else is a mistake in this folder. */
static const unsigned vmm_transitions[_VMM_PHASE_MAX] = {
        [VMM_NEW] = 1U << VMM_SPAWNED | 1U << VMM_LAUNCHED,     /* the latter: adoption */
        [VMM_SPAWNED] = 1U << VMM_LAUNCHED | 1U << VMM_EXITED,
        [VMM_LAUNCHED] = 1U << VMM_RUNNING | 1U << VMM_EXITED,
        [VMM_RUNNING] = 1U << VMM_EXITED,
        [VMM_EXITED] = 0,
};

const VmmOps *vmm_ops_by_name(const char *name)
{
        static const VmmOps *const all[] = { &vmm_ops_qemu };

        for (size_t i = 0; i < ELEMENTSOF(all); i++)
                if (streq_ptr(all[i]->name, name))
                        return all[i];

        return NULL;
}

const char *vmm_phase_to_string(VmmPhase phase)
{
        return phase >= 0 && phase < _VMM_PHASE_MAX ? vmm_phase_table[phase] : NULL;
}

VmmPhase vmm_phase(const Vmm *vmm)
{
        return vmm->phase;
}

const char *vmm_backend_name(const Vmm *vmm)
{
        return vmm->ops->name;
}

const PidRef *vmm_pid(const Vmm *vmm)
{
        return vmm->spawn ? spawn_pid(vmm->spawn) : &vmm->adopted;
}

int vmm_stderr_fd(const Vmm *vmm)
{
        return line_stream_fd(vmm->stderr_stream);
}

static void set_phase(Vmm *vmm, VmmPhase phase)
{
        assert((vmm_transitions[vmm->phase] & (1U << phase)) != 0);
        vmm->phase = phase;
}

int vmm_new(sd_event *event, const VmmOps *ops, const VmmHandlers *handlers, void *userdata,
                Vmm **ret)
{
        Vmm *vmm = new0(Vmm, 1);

        if (!vmm)
                return -ENOMEM;

        assert(handlers->on_exit);
        *vmm = (Vmm) {
                .ops = ops,
                .event = sd_event_ref(event),
                .handlers = *handlers,
                .userdata = userdata,
                .run_dir_fd = -EBADF,
                .adopted = PIDREF_NULL,
        };
        *ret = vmm;
        return 0;
}

Vmm *vmm_free(Vmm *vmm)
{
        if (!vmm)
                return NULL;

        vmm->ops->free(vmm);
        sd_event_source_disable_unref(vmm->exit_source);
        sd_event_source_disable_unref(vmm->kill_source);
        line_stream_free(vmm->console);
        line_stream_free(vmm->stderr_stream);
        spawn_free(vmm->spawn);
        pidref_done(&vmm->adopted);
        safe_close(vmm->run_dir_fd);
        vmm_state_done(&vmm->state);
        for (size_t i = 0; i < ELEMENTSOF(vmm->tail); i++)
                free(vmm->tail[i]);
        free(vmm->last_words);
        free(vmm->last_stderr);
        free(vmm->failure);
        free(vmm->shutdown_reason);
        sd_event_unref(vmm->event);
        free(vmm);
        return NULL;
}

/* ---- console and standard error ---- */

/* What a guest says when it ends itself: its kernel, or its agent (init_die()). */
static const struct {
        const char *prefix, *reason;
} last_words[] = {
        { "Kernel panic - not syncing", "guest kernel panicked" },
        { "kata-agent: fatal: ", "guest agent gave up" },
};

static char *find_last_words(const char *text)
{
        char *words = NULL;

        for (size_t i = 0; i < ELEMENTSOF(last_words); i++) {
                const char *p = strstr(text, last_words[i].prefix);

                if (p && asprintf(&words, "%s: %s", last_words[i].reason, p) >= 0)
                        return words;
        }

        return NULL;
}

static int on_console_line(void *userdata, const char *line, size_t n)
{
        Vmm *vmm = userdata;
        char *text = text_escape(line, n, 256);

        if (text) {
                /* The first ones are the cause; what follows are their echoes. */
                if (!vmm->last_words)
                        vmm->last_words = find_last_words(text);
                free(vmm->tail[vmm->tail_next]);
                vmm->tail[vmm->tail_next] = text;
                vmm->tail_next = (vmm->tail_next + 1) % CONSOLE_TAIL_LINES;
        }

        if (vmm->handlers.on_console_line)
                vmm->handlers.on_console_line(vmm, line, n, vmm->userdata);
        return 0;
}

static int on_stderr_line(void *userdata, const char *line, size_t n)
{
        Vmm *vmm = userdata;

        if (n > 0) {
                free(vmm->last_stderr);
                vmm->last_stderr = text_escape(line, n, 512);
        }
        if (vmm->handlers.on_stderr_line)
                vmm->handlers.on_stderr_line(vmm, vmm->ops->name, line, n, vmm->userdata);
        return 0;
}

char *vmm_console_tail(const Vmm *vmm)
{
        char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);
        bool first = true;

        if (!f)
                return NULL;
        for (unsigned i = 0; i < CONSOLE_TAIL_LINES; i++) {
                const char *line = vmm->tail[(vmm->tail_next + i) % CONSOLE_TAIL_LINES];

                if (!line)
                        continue;
                fprintf(f, "%s%s", first ? "" : "\n", line);
                first = false;
        }

        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

static int attach_stderr(Vmm *vmm, int fd)
{
        return line_stream_new(vmm->event, fd, LOG_LINE_MAX, on_stderr_line, NULL, vmm,
                               &vmm->stderr_stream);
}

/*
 * The VMM listens; before it runs the connection waits in the backlog. Nothing the guest prints is
 * missed.
 */
static int attach_console(Vmm *vmm, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!vmm->state.console)
                return 0;

        r = unix_connect_at(vmm->run_dir_fd, VMM_CONSOLE_SOCKET, &fd);
        if (r >= 0)
                r = line_stream_new(vmm->event, fd, CONSOLE_LINE_MAX - 1, on_console_line, NULL,
                                vmm, &vmm->console);
        if (r < 0)
                return error_setf(reterr_message, r,
                                "console of the guest can not be connected: %s", strerror(-r));
        TAKE_FD(fd);
        return 0;
}

/* ---- the end ---- */

static char *exit_reason(const Vmm *vmm, int code, int status)
{
        _cleanup_free_ char *how = process_exit_text(code, status);
        const char *name = vmm->ops->name, *why = vmm->shutdown_reason;
        char *text = NULL;
        int r;

        if (vmm->failure)
                r = asprintf(&text, "%s", vmm->failure);
        else if (vmm->last_words)
                r = asprintf(&text, "%s", vmm->last_words);
        else if (why && vmm->shutdown_by_guest)
                r = asprintf(&text, "guest ended its machine (%s)", why);
        else if (vmm->stopping)
                r = asprintf(&text, "machine was stopped (%s %s)", name, strempty(how));
        else if (why)
                r = asprintf(&text, "%s ended the machine (%s)", name, why);
        else if (vmm->last_stderr)
                r = asprintf(&text, "%s %s: %s", name, strempty(how), vmm->last_stderr);
        else
                r = asprintf(&text, "%s %s", name, strempty(how));

        return r < 0 ? NULL : text;
}

/* Everything that was written before the exit is delivered before the exit. */
static void vmm_exited(Vmm *vmm, int code, int status)
{
        _cleanup_free_ char *reason = NULL;
        VmmExit end;

        line_stream_drain(vmm->stderr_stream);
        line_stream_drain(vmm->console);
        vmm->ops->drain(vmm);
        vmm->kill_source = sd_event_source_disable_unref(vmm->kill_source);
        vmm->exit_source = sd_event_source_disable_unref(vmm->exit_source);
        set_phase(vmm, VMM_EXITED);

        reason = exit_reason(vmm, code, status);
        end = (VmmExit){
                        .code = code,
                        .status = status,
                        .orderly = !vmm->failure && !vmm->last_words &&
                                   (vmm->stopping || vmm->shutdown_by_guest),
                        .guest_panic = vmm->last_words,
                        .shutdown_reason = vmm->shutdown_reason,
                        .reason = reason ? reason : "out of memory",
        };
        vmm->handlers.on_exit(vmm, &end, vmm->userdata);
}

static void on_spawn_exec(Spawn *spawn, int error, const char *text, void *userdata)
{
        Vmm *vmm = userdata;

        if (error < 0 && !vmm->failure)
                vmm->failure = strdup(error_text(text, error));
}

static void on_spawn_exit(Spawn *spawn, int code, int status, void *userdata)
{
        vmm_exited(userdata, code, status);
}

static int on_adopted_exit(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        /* Somebody else reaps it: PID 1, which is told the status and does not pass it on. */
        vmm_exited(userdata, 0, 0);
        return 0;
}

static int on_kill_time(sd_event_source *source, uint64_t when, void *userdata)
{
        Vmm *vmm = userdata;

        if (vmm->late_failure && !vmm->stopping && !vmm->failure)
                vmm->failure = strdup(vmm->late_failure);
        (void) vmm_kill(vmm);
        return 0;
}

static int arm_kill(Vmm *vmm, usec_t grace)
{
        usec_t when = now_usec() + grace;
        int r;

        if (!vmm->kill_source)
                r = sd_event_add_time(vmm->event, &vmm->kill_source, CLOCK_MONOTONIC, when,
                                      USEC_PER_MSEC, on_kill_time, vmm);
        else if (when < vmm->kill_deadline)
                r = sd_event_source_set_time(vmm->kill_source, when);
        else
                return 0;

        if (r >= 0)
                vmm->kill_deadline = when;
        return r;
}

int vmm_kill(Vmm *vmm)
{
        if (vmm->phase == VMM_NEW || vmm->phase == VMM_EXITED)
                return -ESRCH;

        return vmm->spawn ? spawn_kill(vmm->spawn, SIGKILL) : pidref_kill(&vmm->adopted, SIGKILL);
}

const char *vmm_last_words(const Vmm *vmm)
{
        return vmm->last_words;
}

bool vmm_is_ending(const Vmm *vmm)
{
        return vmm->kill_source || vmm->shutdown_reason;
}

int vmm_stop(Vmm *vmm, usec_t deadline)
{
        int r;

        if (vmm->phase == VMM_NEW || vmm->phase == VMM_EXITED)
                return 0;

        vmm->stopping = true;
        if (vmm->phase == VMM_SPAWNED || vmm->ops->quit(vmm) < 0)
                return vmm_kill(vmm);

        r = arm_kill(vmm, deadline);
        return r < 0 ? vmm_kill(vmm) : 0;
}

void vmm_fail(Vmm *vmm, const char *format, ...)
{
        if (!vmm->failure && !vmm->stopping && !vmm->shutdown_reason) {
                va_list ap;

                va_start(ap, format);
                if (vasprintf(&vmm->failure, format, ap) < 0)
                        vmm->failure = NULL;
                va_end(ap);
        }

        (void) vmm_kill(vmm);
}

void vmm_control_closed(Vmm *vmm, const char *text)
{
        vmm->late_failure = text;
        if (arm_kill(vmm, VMM_CLOSE_GRACE) < 0)
                (void) vmm_kill(vmm);
}

/* ---- the way up ---- */

void vmm_set_ready(Vmm *vmm, bool running)
{
        if (running)
                vmm_set_running(vmm);
        else if (vmm->handlers.on_ready)
                vmm->handlers.on_ready(vmm, vmm->userdata);
}

void vmm_set_running(Vmm *vmm)
{
        if (vmm->phase != VMM_LAUNCHED)
                return;
        set_phase(vmm, VMM_RUNNING);
        if (vmm->handlers.on_running)
                vmm->handlers.on_running(vmm, vmm->userdata);
}

void vmm_set_shutdown(Vmm *vmm, bool by_guest, const char *reason)
{
        /* First one wins: a guest that resets in a loop has nothing to add. */
        if (vmm->shutdown_reason)
                return;
        vmm->shutdown_reason = text_escape(reason, strlen(reason), 64);
        vmm->shutdown_by_guest = by_guest;
        if (vmm->handlers.on_shutdown)
                vmm->handlers.on_shutdown(
                                vmm, by_guest, strempty(vmm->shutdown_reason), vmm->userdata);
}

static int open_run_dir(Vmm *vmm, const char *path, char **reterr_message)
{
        vmm->run_dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (vmm->run_dir_fd < 0) {
                vmm->run_dir_fd = -EBADF;
                return error_setf(reterr_message, errno, "%s can not be opened: %s", path,
                                strerror(errno));
        }

        return 0;
}

void vmm_command_done(VmmCommand *command)
{
        for (size_t i = 0; i < command->n_owned; i++)
                safe_close(command->owned[i]);
        strv_done(&command->argv);
        *command = (VmmCommand) {};
}

static int fill_state(Vmm *vmm, const VmConfig *config)
{
        vmm->state = (VmmState) {
                .backend = strdup(vmm->ops->name),
                .id = strdup(config->id),
                .run_dir = strdup(config->run_dir),
                .transport = config->transport,
                .cid = config->cid,
                .console = config->console,
                .accel = config->accel,
        };
        return vmm->state.backend && vmm->state.id && vmm->state.run_dir ? 0 : -ENOMEM;
}

static int fork_command(
                Vmm *vmm, const VmConfig *config, VmmCommand *command, char **reterr_message)
{
        static const SpawnHandlers handlers = {.on_exec = on_spawn_exec, .on_exit = on_spawn_exit};
        _cleanup_close_ int stderr_read = -EBADF, stderr_write = -EBADF;
        int pair[2], r;

        if (pipe2(pair, O_CLOEXEC) < 0)
                return error_setf(reterr_message, errno, "pipe: %s", strerror(errno));
        stderr_read = pair[0];
        stderr_write = pair[1];

        r = attach_stderr(vmm, stderr_read);
        if (r < 0)
                return r;
        TAKE_FD(stderr_read);

        command->params.path = config->vmm_path;
        command->params.argv = command->argv.v;
        command->params.stdout_fd = command->params.stderr_fd = stderr_write;
        command->params.uid = config->uid;
        command->params.gid = config->gid;
        command->params.groups = config->groups;
        command->params.n_groups = config->n_groups;
        command->params.netns_fd = config->netns_fd;
        /* When memory runs out the machine goes, not its supervisor, which has to say so. */
        command->params.oom_score_adj = VMM_OOM_SCORE_ADJ;

        return spawn_new(vmm->event, &command->params, &handlers, vmm, &vmm->spawn, reterr_message);
}

int vmm_spawn(Vmm *vmm, VmConfig *config, char **reterr_message)
{
        _cleanup_(vmm_command_done) VmmCommand command = { .params = SPAWN_PARAMS_INIT };
        int r;

        assert(vmm->phase == VMM_NEW);

        r = vm_config_validate(config, reterr_message);
        if (r >= 0)
                r = vmm->ops->check(config, reterr_message);
        if (r >= 0)
                r = open_run_dir(vmm, config->run_dir, reterr_message);
        if (r >= 0)
                r = fill_state(vmm, config);
        if (r >= 0)
                r = vmm->ops->prepare(vmm, config, &command, reterr_message);
        if (r >= 0)
                r = attach_console(vmm, reterr_message);
        if (r >= 0)
                r = fork_command(vmm, config, &command, reterr_message);
        if (r < 0)
                return r;

        vmm->state.pid = spawn_pid(vmm->spawn)->pid;
        r = pid_start_time(vmm->state.pid, &vmm->state.start_time);
        if (r < 0) {
                vmm->spawn = spawn_free(vmm->spawn);
                return error_setf(reterr_message, r, "start time of the %s process: %s",
                                vmm->ops->name, strerror(-r));
        }

        /*
         * The child has its own; a copy of ours would keep a CID or a socket alive after its end.
         */
        vm_config_close_fds(config);
        set_phase(vmm, VMM_SPAWNED);
        return 0;
}

int vmm_launch(Vmm *vmm, char **reterr_message)
{
        int r;

        if (vmm->phase != VMM_SPAWNED)
                return error_setf(reterr_message, vmm->phase == VMM_EXITED ? ESRCH : EBUSY,
                                  "machine can not be launched while it is %s",
                                  vmm_phase_to_string(vmm->phase));

        r = vmm->ops->connect(vmm, reterr_message);
        if (r < 0)
                return r;

        r = spawn_release(vmm->spawn);
        if (r < 0)
                return error_setf(reterr_message, r, "paused %s process can not be released: %s",
                                  vmm->ops->name, strerror(-r));

        set_phase(vmm, VMM_LAUNCHED);
        return 0;
}

int vmm_start(Vmm *vmm)
{
        return vmm->phase == VMM_LAUNCHED ? vmm->ops->start(vmm) : -EBUSY;
}

int vmm_get_state(const Vmm *vmm, VmmState *ret)
{
        return vmm->state.pid > 0 ? vmm_state_copy(&vmm->state, ret) : -ENODATA;
}

/* ---- adoption ---- */

/* The pidfd first, then the start time: what is compared is what will be signalled. */
static int adopt_process(Vmm *vmm, char **reterr_message)
{
        uint64_t start_time;
        int r;

        r = pidref_set(&vmm->adopted, vmm->state.pid);
        if (r >= 0)
                r = pid_start_time(vmm->state.pid, &start_time);
        if (r >= 0 && start_time != vmm->state.start_time)
                r = -ESRCH;
        if (r == -ESRCH)
                return error_setf(reterr_message, r, "%s process %d is gone", vmm->ops->name,
                                  (int) vmm->state.pid);
        if (r < 0)
                return error_setf(reterr_message, r, "%s process %d: %s", vmm->ops->name,
                                  (int) vmm->state.pid, strerror(-r));

        return sd_event_add_io(vmm->event, &vmm->exit_source, vmm->adopted.fd, EPOLLIN,
                        on_adopted_exit, vmm);
}

int vmm_adopt(sd_event *event, const VmmState *state, int stderr_fd, const VmmHandlers *handlers,
              void *userdata, Vmm **ret, char **reterr_message)
{
        const VmmOps *ops = vmm_ops_by_name(state->backend);
        _cleanup_(vmm_freep) Vmm *vmm = NULL;
        int r;

        if (!ops)
                return error_setf(
                                reterr_message, EOPNOTSUPP, "back end of the machine is not known");

        r = vmm_new(event, ops, handlers, userdata, &vmm);
        if (r >= 0)
                r = vmm_state_copy(state, &vmm->state);
        if (r >= 0)
                r = adopt_process(vmm, reterr_message);
        if (r >= 0)
                r = open_run_dir(vmm, vmm->state.run_dir, reterr_message);
        if (r >= 0)
                r = attach_console(vmm, reterr_message);
        if (r >= 0)
                r = ops->connect(vmm, reterr_message);
        if (r >= 0 && stderr_fd >= 0)
                r = attach_stderr(vmm, stderr_fd);
        if (r < 0)
                return r;

        set_phase(vmm, VMM_LAUNCHED);
        *ret = TAKE_PTR(vmm);
        return 0;
}
