/* SPDX-License-Identifier: Apache-2.0 */
/* kata-runtime create, run and start. */

#include "basic/error.h"
#include "basic/log.h"
#include "runtime/cli/create.h"

#define CREATE_OPTIONS \
        { "bundle", 'b', "DIR", CLI_ARG(bundle), "Directory with config.json; the current one without it" }, \
        { "console-socket", 0, "FILE", CLI_ARG(console_socket), "UNIX socket that gets the terminal's master" }, \
        { "pid-file", 0, "FILE", CLI_ARG(pid_file), "Write the number of the process that stands for the container" }, \
        { "no-new-keyring", 0, NULL, CLI_ARG(no_new_keyring), "For callers; guests have a keyring of their own" }, \
        { "no-pivot", 0, NULL, CLI_ARG(no_pivot), "For callers; refused" }, \
        { "preserve-fds", 0, "NUMBER", CLI_ARG(preserve_fds), "For callers; more than 0 is refused" }

const CliOption create_options[] = {
        CREATE_OPTIONS,
        {}
};

const CliOption run_options[] = {
        CREATE_OPTIONS,
        { "detach", 'd', NULL, CLI_ARG(detach), "Do not wait for the container's end" },
        { "keep", 0, NULL, CLI_ARG(keep), "Do not delete the container at its end" },
        { "no-subreaper", 0, NULL, CLI_ARG(no_subreaper), "For callers; nothing is reaped here anyway" },
        {}
};

static int plan(const CliArgs *args, bool foreground, CreateParams *ret)
{
        _cleanup_free_ char *message = NULL;

        *ret = (CreateParams) {
                .root = cli_root(args), .id = args->words[0], .bundle = args->bundle, .pid_file = args->pid_file,
                .console_socket = args->console_socket, .foreground = foreground,
                .systemd_cgroup = args->systemd_cgroup || streq_ptr(args->cgroup_manager, "systemd"),
        };
        if (args->no_pivot) {
                log_error("--no-pivot: the root of a container in a machine can always be pivoted");
                return -EOPNOTSUPP;
        }
        if (check_preserved_fds(args->preserve_fds, &message) < 0) {
                log_error("%s", message);
                return -EOPNOTSUPP;
        }
        return 0;
}

int verb_create(const CliArgs *args)
{
        _cleanup_free_ char *message = NULL;
        CreateParams params;
        ShimProcess shim;
        CliContainer c;
        int r;

        if (plan(args, false, &params) < 0)
                return EXIT_FAILURE;
        r = create_container(&params, &c, &shim, &message);
        if (r < 0)
                return cli_fail(r, message);
        shim_process_done(&shim);
        container_done(&c);
        return EXIT_SUCCESS;
}

static int wait_and_delete(const CliArgs *args, CliContainer *c, ShimProcess *shim)
{
        _cleanup_free_ char *message = NULL;
        uint64_t start_time = c->record.pid_start;
        pid_t pid = c->record.pid;
        int status, r;

        /* Others look at it, signal it and delete it while it runs, which takes the lock. */
        container_done(c);
        status = shim_wait(shim);
        shim_process_done(shim);
        if (args->keep)
                return status;

        r = container_open(cli_root(args), args->words[0], c, &message);
        if (r == -ENOENT)
                return status;
        if (r >= 0 && (c->record.pid != pid || c->record.pid_start != start_time)) {
                /* Deleted, and another one has the name. */
                container_done(c);
                return status;
        }
        if (r >= 0)
                r = delete_container(c, false, &message);
        if (r < 0)
                log_warning("%s", error_text(message, r));
        return status;
}

int verb_run(const CliArgs *args)
{
        _cleanup_free_ char *message = NULL, *ignored = NULL;
        CreateParams params;
        ShimProcess shim;
        CliContainer c;
        int r;

        if (plan(args, !args->detach, &params) < 0)
                return EXIT_FAILURE;
        r = create_container(&params, &c, &shim, &message);
        if (r < 0)
                return cli_fail(r, message);
        r = start_container(&c, &message);
        if (r < 0) {
                (void) delete_container(&c, true, &ignored);
                shim_wait(&shim);
                shim_process_done(&shim);
                return cli_fail(r, message);
        }
        if (!args->detach)
                return wait_and_delete(args, &c, &shim);
        shim_process_done(&shim);
        container_done(&c);
        return EXIT_SUCCESS;
}

int verb_start(const CliArgs *args)
{
        _cleanup_free_ char *message = NULL;
        CliContainer c;
        int r;

        r = container_open(cli_root(args), args->words[0], &c, &message);
        if (r < 0)
                return cli_fail(r, message);
        r = start_container(&c, &message);
        container_done(&c);
        return r < 0 ? cli_fail(r, message) : EXIT_SUCCESS;
}
