/* SPDX-License-Identifier: Apache-2.0 */
/* kata-runtime exec: a further process in a container that runs. */

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "proto/task-types.h"
#include "runtime/cli/container-sandbox.h"
#include "runtime/cli/create.h"
#include "runtime/cli/exec-process.h"
#include "runtime/net/namespace.h"

/* As runc, for what went wrong before the process ran. */
#define EXIT_EXEC 255

const CliOption exec_options[] = {
        { "additional-gids", 'g', "GID", CLI_ARG(additional_gids), "A further group; may be given again", NULL, true },
        { "cap", 'c', "CAPABILITY", CLI_ARG(capabilities), "A further capability; may be given again", NULL, true },
        { "console-socket", 0, "FILE", CLI_ARG(console_socket), "UNIX socket that gets the terminal's master" },
        { "cwd", 0, "DIR", CLI_ARG(cwd), "Working directory in the container" },
        { "detach", 'd', NULL, CLI_ARG(detach), "Do not wait for the end of the process" },
        { "env", 'e', "NAME=VALUE", CLI_ARG(env), "A further variable; may be given again", NULL, true },
        { "no-new-privs", 0, NULL, CLI_ARG(no_new_privs), "The process can not gain privileges" },
        { "pid-file", 0, "FILE", CLI_ARG(pid_file), "Write the number of the process that stands for it" },
        { "preserve-fds", 0, "NUMBER", CLI_ARG(preserve_fds), "For callers; more than 0 is refused" },
        { "process", 'p', "FILE", CLI_ARG(process), "The process as JSON, instead of the other options" },
        { "tty", 't', NULL, CLI_ARG(tty), "With a terminal" },
        { "user", 'u', "UID[:GID]", CLI_ARG(user), "As another user" },
        {}
};

typedef struct Exec {
        char id[32];
        char *directory;
        json_object *process;
        bool terminal;
        ShimProcess shim;
} Exec;

static void exec_done(Exec *e)
{
        shim_process_done(&e->shim);
        json_object_put(e->process);
        if (e->directory)
                (void) rmdir(e->directory);
        free(e->directory);
}

static int plan(const CliArgs *args, const CliContainer *c, Exec *e, char **reterr_message)
{
        _cleanup_(bundle_done) OciBundle bundle = {};
        int r;

        r = check_preserved_fds(args->preserve_fds, reterr_message);
        if (r < 0)
                return r;
        if (args->process)
                r = exec_process_read(args->process, &e->process, reterr_message);
        else if (args->n_words < 2)
                r = error_setf(reterr_message, -EINVAL, "exec needs a program, or --process");
        else {
                r = bundle_open(c->record.bundle, &bundle, reterr_message);
                if (r >= 0)
                        r = exec_process_make(&bundle, args, args->words + 1, args->n_words - 1, &e->process,
                                              reterr_message);
        }
        if (r < 0)
                return r;
        /* The one that callers of exec --process say twice, as conmon does. */
        if (args->tty)
                json_object_object_add(e->process, "terminal", json_object_new_boolean(true));
        e->terminal = exec_process_terminal(e->process);
        return check_terminal(e->terminal, args->console_socket, !args->detach, reterr_message);
}

static int step_shim(const CliArgs *args, const CliContainer *c, Exec *e, char **reterr_message)
{
        _cleanup_close_ int netns = -EBADF;
        char path[64];
        uint64_t number;
        int r;

        if (getrandom(&number, sizeof(number), 0) != (ssize_t) sizeof(number))
                return negative_errno();
        snprintf(e->id, sizeof(e->id), "exec-%016llx", (unsigned long long) number);
        if (asprintf(&e->directory, "%s/%s", c->entry.path, e->id) < 0) {
                e->directory = NULL;
                return -ENOMEM;
        }
        if (mkdir(e->directory, 0700) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "%s: %s", e->directory, strerror(-r));
        }
        /* With that of the container, if it is still there. */
        snprintf(path, sizeof(path), "/proc/%d/ns/net", (int) c->record.pid);
        (void) namespace_open_any(path, &netns, NULL);
        r = shim_start(&(ShimParams) {
                .sandbox = c->record.sandbox, .id = c->record.id, .exec_id = e->id, .directory = e->directory,
                .terminal = e->terminal, .console_socket = args->console_socket, .netns_fd = netns,
        }, &e->shim, reterr_message);
        if (r < 0)
                return r;
        sandbox_attach(c->record.sandbox, c->record.scope, e->shim.pid);
        return 0;
}

static int step_task(CliContainer *c, Exec *e, char **reterr_message)
{
        Containerd__Task__V2__ExecProcessRequest q = CONTAINERD__TASK__V2__EXEC_PROCESS_REQUEST__INIT;
        Containerd__Task__V2__StartRequest start = CONTAINERD__TASK__V2__START_REQUEST__INIT;
        Containerd__Task__V2__DeleteRequest delete = CONTAINERD__TASK__V2__DELETE_REQUEST__INIT;
        Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
        const char *text = json_object_to_json_string_ext(e->process, JSON_C_TO_STRING_PLAIN);
        _cleanup_free_ char *ignored = NULL;
        int r;

        if (!text)
                return -ENOMEM;
        any.type_url = (char *) (uintptr_t) TASK_TYPE_PROCESS;
        any.value.data = (uint8_t *) (uintptr_t) text;
        any.value.len = strlen(text);
        q.id = start.id = delete.id = c->record.id;
        q.exec_id = start.exec_id = delete.exec_id = e->id;
        q.terminal = e->terminal;
        q.stdin = e->shim.stdin_path;
        q.stdout = e->shim.stdout_path;
        q.stderr = e->shim.stderr_path;
        q.spec = &any;
        r = container_call(c, "Exec", &q.base, reterr_message);
        if (r < 0)
                return r;
        r = container_call(c, "Start", &start.base, reterr_message);
        if (r < 0)
                (void) container_call(c, "Delete", &delete.base, &ignored);
        return r;
}

static int run_exec(const CliArgs *args, CliContainer *c, Exec *e, char **reterr_message)
{
        int r;

        if (c->status == STATUS_PAUSED)
                return error_setf(reterr_message, -EBUSY, "cannot exec in a paused container");
        if (c->status != STATUS_RUNNING && c->status != STATUS_CREATED)
                return error_setf(reterr_message, -EINVAL, "cannot exec in a stopped container");
        r = plan(args, c, e, reterr_message);
        if (r >= 0)
                r = step_shim(args, c, e, reterr_message);
        if (r >= 0)
                r = step_task(c, e, reterr_message);
        if (r >= 0 && args->pid_file)
                r = pid_file_write(args->pid_file, e->shim.pid, reterr_message);
        if (r >= 0)
                r = shim_go(&e->shim, reterr_message);
        if (r < 0)
                shim_kill(&e->shim);
        return r;
}

int verb_exec(const CliArgs *args)
{
        _cleanup_free_ char *message = NULL;
        Exec e = { .shim = SHIM_PROCESS_NULL };
        int status = EXIT_SUCCESS, r;
        CliContainer c;

        r = container_open(cli_root(args), args->words[0], &c, &message);
        if (r >= 0) {
                r = run_exec(args, &c, &e, &message);
                /* Others may look at the container while this one runs. */
                container_done(&c);
        }
        if (r < 0) {
                log_error("exec failed: %s", error_text(message, r));
                status = EXIT_EXEC;
        } else if (!args->detach)
                status = shim_wait(&e.shim);
        exec_done(&e);
        return status;
}
