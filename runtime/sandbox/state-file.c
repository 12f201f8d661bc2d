/* SPDX-License-Identifier: Apache-2.0 */
/* State file of a sandbox: see state-file.h. Root's own file, still parsed strictly: it may be torn by hand. */

#include "runtime/sandbox/state-file.h"

#include <fcntl.h>
#include <inttypes.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/kernel-release.h"
#include "basic/limits.h"
#include "runtime/unit/unit-name.h"

#define STATE_FILE_MAX KIB(64)
/* In the place of a path. */
#define NO_PATH "-"

void sandbox_state_done(SandboxState *state)
{
        for (size_t i = 0; i < state->n_containers; i++)
                free(state->containers[i].name);
        free(state->containers);
        free(state->kernel_release);
        free(state->scope);
        free(state->network);
        *state = (SandboxState) {};
}

int sandbox_state_add_container(SandboxState *state, const char *name, int stop_signal, bool exited,
                                int status)
{
        ContainerStateEntry *grown;
        char *copy;

        if (state->n_containers >= CONTAINERS_MAX)
                return -E2BIG;

        grown = reallocarray(state->containers, state->n_containers + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        state->containers = grown;

        copy = strdup(name);
        if (!copy)
                return -ENOMEM;

        state->containers[state->n_containers++] = (ContainerStateEntry) {
                .name = copy,
                .stop_signal = stop_signal,
                .exited = exited,
                .status = status,
        };
        return 0;
}

int sandbox_state_save(const SandboxState *state, const char *path)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        if (!f)
                return -ENOMEM;

        fprintf(f, "version=%u\nrunning=%d\nstop_timeout=%" PRIu64 "\n", SANDBOX_STATE_VERSION,
                state->running, state->stop_timeout);
        if (state->memory_max > 0)
                fprintf(f, "memory_max=%" PRIu64 "\n", state->memory_max);
        if (state->kernel_release)
                fprintf(f, "kernel=%s\n", state->kernel_release);
        if (state->scope)
                fprintf(f, "scope=%s\n", state->scope);
        if (state->debug)
                fputs("debug=1\n", f);
        if (state->tasks)
                fputs("tasks=1\n", f);
        if (state->has_spare) {
                const NetSpare *spare = &state->spare;
                char mac[3 * RTNL_HW_MAX];

                fprintf(f, "spare=%s %s %s\n", spare->tap, rtnl_mac_format(spare->mac, sizeof(spare->mac), mac),
                        state->network ? state->network : NO_PATH);
        }
        if (state->virtiofsd_pid > 0)
                fprintf(f, "virtiofsd=%d %" PRIu64 "\n", (int) state->virtiofsd_pid,
                        state->virtiofsd_start_time);
        for (size_t i = 0; i < state->n_containers; i++) {
                const ContainerStateEntry *c = &state->containers[i];

                fprintf(f, "container=%s %d %d %d\n", c->name, c->stop_signal, c->exited, c->status);
        }
        if (fclose(f) != 0)
                return -ENOMEM;

        return write_file_atomic(path, text, n, 0600);
}

static int parse_virtiofsd(SandboxState *state, char *value)
{
        char *pid = strsep(&value, " ");
        uint32_t v;
        int r;

        r = parse_u32(pid, &v);
        if (r >= 0 && (v == 0 || v > INT32_MAX))
                r = -EINVAL;
        if (r >= 0)
                r = parse_u64(value, &state->virtiofsd_start_time);
        if (r < 0)
                return r;

        state->virtiofsd_pid = (pid_t) v;
        return 0;
}

static int parse_kernel(SandboxState *state, const char *value)
{
        if (!kernel_release_is_valid(value))
                return -EINVAL;

        free(state->kernel_release);
        state->kernel_release = strdup(value);
        return state->kernel_release ? 0 : -ENOMEM;
}

static int parse_scope(SandboxState *state, const char *value)
{
        if (!unit_name_is_valid(value, ".scope"))
                return -EINVAL;

        free(state->scope);
        state->scope = strdup(value);
        return state->scope ? 0 : -ENOMEM;
}

/* The path may have blanks. */
static int parse_spare(SandboxState *state, char *value)
{
        const char *tap = strsep(&value, " "), *mac = strsep(&value, " ");

        if (!value || isempty(tap) || strlen(tap) >= sizeof(state->spare.tap) ||
            rtnl_mac_parse(mac, state->spare.mac) < 0 || (value[0] != '/' && !streq(value, NO_PATH)))
                return -EINVAL;

        strcpy(state->spare.tap, tap);
        state->has_spare = true;
        free(state->network);
        state->network = value[0] == '/' ? strdup(value) : NULL;
        return value[0] != '/' || state->network ? 0 : -ENOMEM;
}

static int parse_container(SandboxState *state, char *value)
{
        const char *name = strsep(&value, " "), *words[3] = {};
        uint32_t numbers[3];
        int r;

        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                words[i] = strsep(&value, " ");
                r = words[i] ? parse_u32(words[i], &numbers[i]) : -EINVAL;
                if (r < 0)
                        return r;
        }
        if (value || !id_is_valid(name, CONTAINER_ID_MAX) || numbers[0] < 1 || numbers[0] > 64 ||
            numbers[1] > 1 || numbers[2] > 255)
                return -EINVAL;

        return sandbox_state_add_container(state, name, (int) numbers[0], numbers[1], (int) numbers[2]);
}

typedef struct Loading {
        SandboxState *state;
        bool version_seen;
} Loading;

static int parse_line(const char *key, char *value, void *userdata)
{
        Loading *loading = userdata;
        SandboxState *state = loading->state;
        uint64_t v;
        int r;

        if (streq(key, "version")) {
                r = parse_u64(value, &v);
                if (r >= 0 && v != SANDBOX_STATE_VERSION)
                        r = -EOPNOTSUPP;
                loading->version_seen = r >= 0;
                return r;
        }
        if (streq(key, "running"))
                return parse_bool(value, &state->running);
        if (streq(key, "debug"))
                return parse_bool(value, &state->debug);
        if (streq(key, "tasks"))
                return parse_bool(value, &state->tasks);
        if (streq(key, "stop_timeout"))
                return parse_u64(value, &state->stop_timeout);
        if (streq(key, "memory_max"))
                return parse_u64(value, &state->memory_max);
        if (streq(key, "kernel"))
                return parse_kernel(state, value);
        if (streq(key, "scope"))
                return parse_scope(state, value);
        if (streq(key, "spare"))
                return parse_spare(state, value);
        if (streq(key, "virtiofsd"))
                return parse_virtiofsd(state, value);
        if (streq(key, "container"))
                return parse_container(state, value);

        return -EINVAL;
}

int sandbox_state_load(SandboxState *ret, const char *path, char **reterr_message)
{
        _cleanup_(sandbox_state_done) SandboxState state = {};
        _cleanup_free_ char *text = NULL;
        Loading loading = { .state = &state };
        unsigned n;
        int r;

        r = read_file_at(AT_FDCWD, path, STATE_FILE_MAX, &text, NULL);
        if (r == -ENOENT)
                return r;
        if (r < 0)
                return error_setf(reterr_message, r, "'%s' can not be read: %s", path, strerror(-r));

        r = parse_assignments(text, parse_line, &loading, &n);
        if (r < 0)
                return error_setf(reterr_message, r, "%s:%u: %s", path, n,
                                  r == -EOPNOTSUPP ? "written by a newer version" : "not a line of a sandbox state");
        if (!loading.version_seen)
                return error_setf(reterr_message, EINVAL, "%s: no version", path);

        *ret = state;
        state = (SandboxState) {};
        return 0;
}

int sandbox_state_find_scope(const char *run_dir, const char *id, char **ret)
{
        _cleanup_(sandbox_state_done) SandboxState state = {};
        _cleanup_free_ char *path = NULL, *message = NULL;

        if (asprintf(&path, "%s/" SANDBOX_STATE_FILE, run_dir) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (sandbox_state_load(&state, path, &message) < 0 || !state.scope)
                return unit_name_scope(id, ret);

        *ret = TAKE_PTR(state.scope);
        return 0;
}
