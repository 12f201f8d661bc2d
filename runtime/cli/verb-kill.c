/* SPDX-License-Identifier: Apache-2.0 */
/* kata-runtime kill, delete, pause and resume. */

#include <signal.h>

#include "basic/error.h"
#include "basic/log.h"
#include "runtime/cli/create.h"

const CliOption kill_options[] = {
        { "all", 'a', NULL, CLI_ARG(all), "All processes of the container" },
        {}
};

const CliOption delete_options[] = {
        { "force", 'f', NULL, CLI_ARG(force), "Kill it if it runs; one that does not exist is no error" },
        {}
};

int verb_kill(const CliArgs *args)
{
        _cleanup_free_ char *message = NULL;
        int sig = SIGTERM, r;
        CliContainer c;

        r = container_open(cli_root(args), args->words[0], &c, &message);
        if (r < 0)
                return cli_fail(r, message);
        if (args->n_words > 1 && signal_parse(args->words[1], &sig) < 0)
                r = error_setf(&message, -EINVAL, "unknown signal \"%s\"", args->words[1]);
        else if (c.status == STATUS_STOPPED || c.status == STATUS_CREATING)
                r = error_setf(&message, -ENOENT, "container not running");
        else
                r = container_kill(&c, "", sig, args->all, &message);
        container_done(&c);
        return r < 0 ? cli_fail(r, message) : EXIT_SUCCESS;
}

int verb_delete(const CliArgs *args)
{
        _cleanup_free_ char *message = NULL;
        CliContainer c;
        int r;

        r = container_open(cli_root(args), args->words[0], &c, &message);
        if (r == -ENOENT && args->force)
                return EXIT_SUCCESS;
        if (r < 0)
                return cli_fail(r, message);
        if (!args->force && c.status != STATUS_STOPPED && c.status != STATUS_CREATED) {
                log_error("cannot delete container %s that is not stopped: %s", args->words[0],
                          container_status_to_string(c.status));
                container_done(&c);
                return EXIT_FAILURE;
        }
        r = delete_container(&c, args->force, &message);
        return r < 0 ? cli_fail(r, message) : EXIT_SUCCESS;
}

static int pause_or_resume(const CliArgs *args, bool pause)
{
        Containerd__Task__V2__PauseRequest q = CONTAINERD__TASK__V2__PAUSE_REQUEST__INIT;
        Containerd__Task__V2__ResumeRequest q2 = CONTAINERD__TASK__V2__RESUME_REQUEST__INIT;
        _cleanup_free_ char *message = NULL;
        CliContainer c;
        int r;

        r = container_open(cli_root(args), args->words[0], &c, &message);
        if (r < 0)
                return cli_fail(r, message);
        q.id = q2.id = c.record.id;
        if (pause && c.status != STATUS_RUNNING && c.status != STATUS_CREATED)
                r = error_setf(&message, -EINVAL, "container not running or created: %s",
                               container_status_to_string(c.status));
        else if (!pause && c.status != STATUS_PAUSED)
                r = error_setf(&message, -EINVAL, "container not paused");
        else if (pause)
                r = container_call(&c, "Pause", &q.base, &message);
        else
                r = container_call(&c, "Resume", &q2.base, &message);
        container_done(&c);
        return r < 0 ? cli_fail(r, message) : EXIT_SUCCESS;
}

int verb_pause(const CliArgs *args)
{
        return pause_or_resume(args, true);
}

int verb_resume(const CliArgs *args)
{
        return pause_or_resume(args, false);
}
