/* SPDX-License-Identifier: Apache-2.0 */
/* Boot test of a pair: see boot-test.h. */

#include "guest-image/boot-test.h"

#include <fcntl.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/strv.h"
#include "guest-image/run.h"

#define UNIT "kata-sandbox@" BOOT_TEST_ID ".service"
#define DEFINITIONS RUNDIR "/sandboxes"
#define DEFINITION DEFINITIONS "/" BOOT_TEST_ID ".conf"
#define CHECK_ROOT LIBDIR "/boot-check"

/* Longer than the deadlines of the unit and of kata.conf(5) that end with a better text. */
#define START_TIMEOUT (10 * 60 * USEC_PER_SEC)

int boot_test_possible(char **reterr_message)
{
        if (access("/run/systemd/system", F_OK) >= 0)
                return 0;

        return error_setf(reterr_message, EOPNOTSUPP,
                          "a new pair is booted once before it is used, and that needs systemd, "
                          "which does not run here");
}

static int systemctl(const char *verb, int *ret_status, char **ret, char **reterr_message)
{
        _cleanup_(strv_done) Strv argv = {};
        const RunOptions options = { .argv = &argv, .max = KIB(64), .timeout = START_TIMEOUT };
        int r;

        r = strv_add_many(&argv, "systemctl", verb, NULL);
        if (r >= 0 && streq(verb, "start"))
                /* Until the unit has ended: the container does by itself. */
                r = strv_add(&argv, "--wait");
        if (r >= 0 && streq(verb, "show"))
                r = strv_add_many(&argv, "--property=Result", "--property=ExecMainStatus",
                                  "--property=StatusText", NULL);
        if (r >= 0)
                r = strv_add(&argv, UNIT);
        return r < 0 ? r : run_program(&options, ret, ret_status, NULL, reterr_message);
}

int boot_test_clear(char **reterr_message)
{
        int status, r;

        if (access(DEFINITION, F_OK) < 0)
                return 0;

        r = systemctl("stop", &status, NULL, reterr_message);
        if (r >= 0)
                r = systemctl("reset-failed", &status, NULL, reterr_message);
        if (r < 0)
                return r;
        /* Last: as long as it is there, the next one knows that there is something to end. */
        if (unlink(DEFINITION) < 0 && errno != ENOENT)
                return error_setf(reterr_message, errno, "'%s' can not be removed: %s", DEFINITION,
                                  strerror(errno));
        return 0;
}

static int write_definition(const char *dir, const char *kernel_release, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        int n, r;

        n = asprintf(&text,
                     "# Written by kata-image, which boots a new guest with it before it is used.\n"
                     "[Sandbox]\n"
                     "GuestDirectory=%s\n"
                     "[Container check]\n"
                     "RootDirectory=%s\n"
                     "Command=/boot-check %s\n"
                     "ReadOnly=yes\n",
                     dir, CHECK_ROOT, kernel_release);
        if (n < 0) {
                text = NULL;
                return -ENOMEM;
        }
        r = mkdir_p(DEFINITIONS, 0755);
        if (r >= 0)
                r = write_file_atomic(DEFINITION, text, (size_t) n, 0644);
        return r < 0 ? error_setf(reterr_message, r, "'%s' can not be written: %s", DEFINITION,
                                  strerror(-r))
                     : 0;
}

/* The value of a NAME=VALUE line; "" if there is none. */
static char *property(const char *text, const char *name)
{
        size_t n = strlen(name);

        for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
                if (strncmp(line, name, n) == 0 && line[n] == '=')
                        return strndup(line + n + 1, strcspn(line + n + 1, "\n"));

        return strdup("");
}

/* What the unit says about its end. */
static int judge(bool started, char **reterr_message)
{
        _cleanup_free_ char *shown = NULL, *result = NULL, *exit_status = NULL, *text = NULL;
        int status, r;

        r = systemctl("show", &status, &shown, reterr_message);
        if (r < 0)
                return r;

        result = property(shown, "Result");
        exit_status = property(shown, "ExecMainStatus");
        text = property(shown, "StatusText");
        if (!result || !exit_status || !text)
                return -ENOMEM;
        if (started && streq(result, "success") && streq(exit_status, "0"))
                return 0;

        return error_setf(reterr_message, EBADMSG, "%s (journalctl -u " UNIT ")",
                          startswith(text, "Failed: ") ? text + strlen("Failed: ") :
                          !isempty(text) && !streq(text, "Stopped") ? text :
                          !streq(result, "success") ? result : "the unit was not started");
}

int boot_test_run(const char *dir, const char *kernel_release, char **reterr_message)
{
        int status = 0, r;

        r = boot_test_possible(reterr_message);
        if (r >= 0)
                r = write_definition(dir, kernel_release, reterr_message);
        if (r < 0)
                return r;

        r = systemctl("start", &status, NULL, reterr_message);
        if (r >= 0)
                r = judge(status == 0, reterr_message);
        if (r < 0) {
                (void) boot_test_clear(NULL);
                return r;
        }
        return boot_test_clear(reterr_message);
}
