/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks, run: see container-hooks.h. In a child of the agent, or as the container's process. */

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container-hooks.h"
#include "basic/limits.h"

#define HOOK_TIMEOUT_SEC 10U

/* The executable files of the guest's own directory. None, or no directory: nothing to do. */

static int only_files(const struct dirent *de)
{
        return de->d_name[0] != '.';
}

static int run_guest_hook(const char *dir, const char *name, const char *kind, const char *state, size_t n,
                          char **reterr_message)
{
        _cleanup_free_ char *path = NULL;
        char *args[2], *env[] = { NULL };
        struct stat st;
        Hook hook;

        if (asprintf(&path, "%s/%s", dir, name) < 0)
                return -ENOMEM;
        if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || access(path, X_OK) < 0)
                return 0;

        args[0] = path;
        args[1] = NULL;
        hook = (Hook) {
                .path = path, .args = { args, 1 }, .env = { env, 0 }, .timeout_sec = HOOK_TIMEOUT_SEC,
        };
        return hook_run(&hook, kind, state, n, reterr_message);
}

/* The first failure is the one that is told of. */
static void keep_first(int *first, int r, char *message, char **reterr_message)
{
        if (r >= 0 || *first < 0) {
                free(message);
                return;
        }
        *first = r;
        if (reterr_message && message) {
                free(*reterr_message);
                *reterr_message = message;
        } else
                free(message);
}

/* all: go on behind one that fails. */
static int run_guest_hooks(const char *guest_dir, const char *kind, bool all, const char *state, size_t n,
                           char **reterr_message)
{
        _cleanup_free_ char *dir = NULL;
        struct dirent **entries = NULL;
        int count, first = 0;

        if (asprintf(&dir, "%s/%s", guest_dir, kind) < 0)
                return -ENOMEM;
        count = scandir(dir, &entries, only_files, alphasort);
        if (count < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : negative_errno();

        for (int i = 0; i < count; i++) {
                if ((all || first >= 0) && i < (int) HOOKS_MAX) {
                        char *message = NULL;
                        int r = run_guest_hook(dir, entries[i]->d_name, kind, state, n, &message);

                        keep_first(&first, r, message, reterr_message);
                }
                free(entries[i]);
        }
        free(entries);
        return first;
}

int hooks_run(const HookSet *set, HookKind kind, const char *status, pid_t pid, char **reterr_message)
{
        /* The container goes on with them as without, and so do the others (OCI, runtime.md, "Lifecycle"). */
        bool all = kind == HOOK_POSTSTART || kind == HOOK_POSTSTOP;
        const char *name = hook_kind_to_string(kind);
        _cleanup_free_ char *state = NULL;
        size_t n;
        int r, first = 0;

        if (!hook_set_has(set, kind))
                return 0;
        r = hook_set_state(set, status, pid, &state, &n);
        if (r < 0)
                return r;

        /* A hook that does not read its input is no reason to die. */
        (void) signal(SIGPIPE, SIG_IGN);
        for (size_t i = 0; (all || first >= 0) && i < set->n[kind]; i++) {
                char *message = NULL;

                r = hook_run(&set->hooks[kind][i], name, state, n, &message);
                keep_first(&first, r, message, reterr_message);
        }
        if ((all || first >= 0) && set->guest_dir && kind != HOOK_START_CONTAINER) {
                char *message = NULL;

                r = run_guest_hooks(set->guest_dir, name, all, state, n, &message);
                keep_first(&first, r, message, reterr_message);
        }
        (void) signal(SIGPIPE, SIG_DFL);
        return first;
}
