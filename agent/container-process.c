/* SPDX-License-Identifier: Apache-2.0 */
/* Becoming a container process: see container-process.h. */

#include "agent/container-process.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/root-path.h"
#include "basic/error.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int process_set_attribute(int proc_fd, const char *path, const char *value)
{
        _cleanup_close_ int fd = root_open(proc_fd, path, O_WRONLY | O_NOCTTY, RESOLVE_NO_XDEV);
        size_t n = strlen(value);
        ssize_t k;

        if (fd < 0)
                return fd;

        k = write(fd, value, n);
        if (k < 0)
                return negative_errno();

        return (size_t) k == n ? 0 : -EIO;
}

int process_set_oom_score(const ProcessPlan *plan, int proc_fd, char **reterr_message)
{
        char text[16];
        int r;

        snprintf(text, sizeof(text), "%d", plan->oom_score_adj);
        r = process_set_attribute(proc_fd, "/self/oom_score_adj", text);
        if (r < 0)
                return error_setf(reterr_message, r, "cannot set oom_score_adj to %s: %s", text,
                                  strerror(-r));

        return 0;
}

/* Field 6 of the passwd(5) line whose field 3 is uid, or NULL. Modifies text. */
static const char *find_home(char *text, uid_t uid)
{
        char *save = NULL;

        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *fields[7] = {}, *p = line;
                uint32_t value;

                for (size_t i = 0; i < ELEMENTSOF(fields) && p; i++)
                        fields[i] = strsep(&p, ":");
                if (fields[5] && parse_u32(fields[2], &value) >= 0 && value == uid &&
                    fields[5][0] == '/')
                        return fields[5];
        }

        return NULL;
}

static int read_home(uid_t uid, char **ret)
{
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *text = NULL;
        const char *home = NULL;
        struct stat st;

        /* The image's file: it may be anything, a fifo without writer included. */
        fd = open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &st) >= 0 && S_ISREG(st.st_mode) &&
            read_fd_max(fd, CONTAINER_PASSWD_MAX, &text, NULL) >= 0)
                home = find_home(text, uid);

        *ret = strdup(home ? home : "/");
        return *ret ? 0 : -ENOMEM;
}

int process_make_env(const ProcessPlan *plan, Strv *ret, char **reterr_message)
{
        _cleanup_(strv_done) Strv env = {};
        const char *item, *home = env_get(&plan->env, "HOME");
        int r;

        STRV_FOREACH(item, &plan->env) {
                if (isempty(home) && startswith(item, "HOME="))
                        continue;
                r = strv_add(&env, item);
                if (r < 0)
                        return r;
        }

        if (isempty(home)) {
                _cleanup_free_ char *dir = NULL;

                r = read_home(plan->uid, &dir);
                if (r >= 0)
                        r = strv_addf(&env, "HOME=%s", dir);
                if (r < 0)
                        return r;
        }

        *ret = env;
        env = (Strv) {};
        return 0;
}

static int set_rlimits(const ProcessPlan *plan, char **reterr_message)
{
        for (size_t i = 0; i < plan->n_rlimits; i++)
                if (setrlimit((__rlimit_resource_t) plan->rlimits[i].resource,
                              &plan->rlimits[i].limit) < 0) {
                        int r = negative_errno();

                        return error_setf(reterr_message, r, "cannot set %s: %s",
                                        plan->rlimits[i].name, strerror(-r));
                }

        return 0;
}

static int set_user(const ProcessPlan *plan, char **reterr_message)
{
        int r;

        r = caps_drop_bounding(&plan->caps);
        if (r < 0)
                return error_setf(reterr_message, r, "cannot limit the capabilities: %s",
                                strerror(-r));

        if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setgroups(plan->n_groups, plan->groups) < 0 ||
                        setresgid(plan->gid, plan->gid, plan->gid) < 0 ||
                        setresuid(plan->uid, plan->uid, plan->uid) < 0 ||
                        prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "cannot become user %u:%u: %s", plan->uid,
                                plan->gid, strerror(-r));
        }

        return 0;
}

int process_become_user(const ProcessPlan *plan, char **reterr_message)
{
        char cwd[PATH_MAX];
        int r, chdir_error;

        r = set_rlimits(plan, reterr_message);
        if (r < 0)
                return r;

        /* Root may not enter a directory on a file system that maps root away, so try as both. */
        chdir_error = chdir(plan->cwd) < 0 ? negative_errno() : 0;
        r = set_user(plan, reterr_message);
        if (r < 0)
                return r;
        if (chdir_error < 0 && chdir(plan->cwd) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "cwd '%s': %s", plan->cwd, strerror(-r));
        }

        /* Fails with ENOENT for a directory outside of the root (CVE-2024-21626). */
        if (!getcwd(cwd, sizeof(cwd)) || cwd[0] != '/')
                return error_setf(reterr_message, -EPERM, "cwd '%s' is not inside the container",
                                  plan->cwd);

        return 0;
}

static int check_program(const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return negative_errno();
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode))
                return -EACCES;

        return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? negative_errno() : 0;
}

int process_exec_error(const char *program, int error, char **reterr_message)
{
        /* podman and docker tell 126 from 127 by these words, which are Go's. */
        const char *text = error == -ENOENT   ? "no such file or directory"
                           : error == -EACCES ? "permission denied"
                           : error == -EISDIR ? "is a directory"
                                              : strerror(-error);

        return error_setf(reterr_message, error, "exec: \"%s\": %s", program, text);
}

int process_find_program(const Strv *args, const Strv *env, char **ret, char **reterr_message)
{
        const char *name = args->v[0], *path = env_get(env, "PATH");
        int r, error = -ENOENT;

        if (strchr(name, '/')) {
                r = check_program(name);
                if (r < 0)
                        return process_exec_error(name, r, reterr_message);

                *ret = strdup(name);
                return *ret ? 0 : -ENOMEM;
        }

        if (!path)
                path = DEFAULT_PATH;

        for (const char *p = path, *end;; p = end + 1) {
                _cleanup_free_ char *candidate = NULL;

                end = strchrnul(p, ':');
                /* An empty element is the working directory, as for execvp(3). */
                if (asprintf(&candidate, "%.*s%s%s", (int) (end - p), p, end > p ? "/" : "./",
                                    name) < 0)
                        return -ENOMEM;

                r = strlen(candidate) < PATH_MAX ? check_program(candidate) : -ENAMETOOLONG;
                if (r >= 0) {
                        *ret = TAKE_PTR(candidate);
                        return 0;
                }
                if (r == -EACCES)
                        error = r;
                if (*end == '\0')
                        break;
        }

        if (error == -EACCES)
                return process_exec_error(name, error, reterr_message);

        return error_setf(reterr_message, -ENOENT,
                        "exec: \"%s\": executable file not found in $PATH", name);
}

int process_confine(const ProcessPlan *plan, const SeccompPlan *seccomp, char **reterr_message)
{
        int r;

        /* Without no_new_privs only CAP_SYS_ADMIN may load a filter, so that comes first. */
        if (seccomp && !plan->no_new_privileges) {
                r = caps_raise_effective();
                if (r < 0)
                        return error_setf(reterr_message, r, "cannot raise capabilities: %s",
                                        strerror(-r));
                r = seccomp_plan_load(seccomp, reterr_message);
                if (r < 0)
                        return r;
        }

        r = caps_apply(&plan->caps);
        if (r < 0)
                return error_setf(reterr_message, r, "cannot set the capabilities: %s",
                                  strerror(-r));

        if (!plan->no_new_privileges)
                return 0;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
                r = negative_errno();
                return error_setf(reterr_message, r, "cannot set no_new_privs: %s", strerror(-r));
        }

        return seccomp ? seccomp_plan_load(seccomp, reterr_message) : 0;
}
