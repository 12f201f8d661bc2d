/* SPDX-License-Identifier: Apache-2.0 */
/* State file of a VMM: see vmm-state.h. Host side; the file is root's. */

#include "runtime/vmm/vmm-state.h"

#include <fcntl.h>
#include <inttypes.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"

typedef struct StateKey {
        const char *name;
        int (*parse)(VmmState *s, const char *value);
} StateKey;

void vmm_state_done(VmmState *s)
{
        free(s->backend);
        free(s->id);
        free(s->run_dir);
        *s = (VmmState) {};
}

int vmm_state_copy(const VmmState *s, VmmState *ret)
{
        VmmState copy = *s;

        copy.backend = s->backend ? strdup(s->backend) : NULL;
        copy.id = s->id ? strdup(s->id) : NULL;
        copy.run_dir = s->run_dir ? strdup(s->run_dir) : NULL;
        if (!copy.backend != !s->backend || !copy.id != !s->id || !copy.run_dir != !s->run_dir) {
                vmm_state_done(&copy);
                return -ENOMEM;
        }

        *ret = copy;
        return 0;
}

int vmm_state_format(const VmmState *s, char **ret)
{
        return asprintf(ret,
                               "version=%u\n"
                               "backend=%s\n"
                               "id=%s\n"
                               "run_dir=%s\n"
                               "pid=%d\n"
                               "start_time=%" PRIu64 "\n"
                               "transport=%s\n"
                               "cid=%" PRIu32 "\n"
                               "console=%s\n"
                               "accel=%s\n",
                               VMM_STATE_VERSION, s->backend, s->id, s->run_dir, (int) s->pid,
                               s->start_time, vm_transport_to_string(s->transport), s->cid,
                               s->console ? "yes" : "no", vm_accel_to_string(s->accel)) < 0
                               ? -ENOMEM
                               : 0;
}

static int parse_version(VmmState *s, const char *value)
{
        uint64_t v;
        int r = parse_u64(value, &v);

        return r < 0 ? r : v == VMM_STATE_VERSION ? 0 : -EOPNOTSUPP;
}

static int parse_string(const char *value, char **ret)
{
        if (*ret || isempty(value) || strlen(value) >= 4096)
                return -EINVAL;

        *ret = strdup(value);
        return *ret ? 0 : -ENOMEM;
}

static int parse_backend(VmmState *s, const char *value)
{
        return parse_string(value, &s->backend);
}

static int parse_id(VmmState *s, const char *value)
{
        return sandbox_name_is_valid(value) ? parse_string(value, &s->id) : -EINVAL;
}

static int parse_run_dir(VmmState *s, const char *value)
{
        return value[0] == '/' ? parse_string(value, &s->run_dir) : -EINVAL;
}

static int parse_pid(VmmState *s, const char *value)
{
        uint64_t v;
        int r = parse_u64(value, &v);

        if (r < 0)
                return r;
        /* PID 1 is nobody's VMM; 2^22 is PID_MAX_LIMIT. */
        if (v < 2 || v > UINT64_C(4194304))
                return -ERANGE;
        s->pid = (pid_t) v;
        return 0;
}

static int parse_start_time(VmmState *s, const char *value)
{
        return parse_u64(value, &s->start_time);
}

static int parse_transport(VmmState *s, const char *value)
{
        s->transport = vm_transport_from_string(value);
        return s->transport < 0 ? -EINVAL : 0;
}

static int parse_cid(VmmState *s, const char *value)
{
        return parse_u32(value, &s->cid);
}

static int parse_console(VmmState *s, const char *value)
{
        return parse_bool(value, &s->console);
}

static int parse_accel(VmmState *s, const char *value)
{
        s->accel = vm_accel_from_string(value);
        return s->accel < 0 ? -EINVAL : 0;
}

static const StateKey state_keys[] = {
        { "version", parse_version },
        { "backend", parse_backend },
        { "id", parse_id },
        { "run_dir", parse_run_dir },
        { "pid", parse_pid },
        { "start_time", parse_start_time },
        { "transport", parse_transport },
        { "cid", parse_cid },
        { "console", parse_console },
        { "accel", parse_accel },
};

static int parse_line(VmmState *s, char *line, unsigned *seen, char **reterr_message)
{
        char *value = strchr(line, '=');

        if (!value)
                return error_setf(reterr_message, EBADMSG, "a line without '='");
        *value++ = '\0';

        for (size_t i = 0; i < ELEMENTSOF(state_keys); i++) {
                if (!streq(state_keys[i].name, line))
                        continue;
                if (*seen & (1U << i))
                        return error_setf(reterr_message, EBADMSG, "%s= is given twice", line);
                *seen |= 1U << i;

                int r = state_keys[i].parse(s, value);
                return r < 0 ? error_setf(reterr_message, r, "value of %s= is not %s", line,
                                          r == -EOPNOTSUPP ? "supported" : "valid") : 0;
        }

        return error_setf(reterr_message, EBADMSG, "unknown key");
}

int vmm_state_parse(const char *text, size_t n, VmmState *ret, char **reterr_message)
{
        _cleanup_(vmm_state_done) VmmState s = {};
        _cleanup_free_ char *copy = NULL;
        char *save = NULL;
        unsigned seen = 0;

        if (n > VM_STATE_FILE_MAX || memchr(text, '\0', n))
                return error_setf(reterr_message, EBADMSG, "too long or not text");

        copy = malloc(n + 1);
        if (!copy)
                return -ENOMEM;
        if (n > 0)
                memcpy(copy, text, n);
        copy[n] = '\0';

        for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                int r = parse_line(&s, line, &seen, reterr_message);

                if (r < 0)
                        return r;
        }

        for (size_t i = 0; i < ELEMENTSOF(state_keys); i++)
                if ((seen & (1U << i)) == 0)
                        return error_setf(reterr_message, EBADMSG, "%s= is missing",
                                        state_keys[i].name);

        *ret = s;
        s = (VmmState) {};
        return 0;
}

int vmm_state_save(const VmmState *s, const char *path)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = vmm_state_format(s, &text);
        return r < 0 ? r : write_file_atomic(path, text, strlen(text), 0600);
}

int vmm_state_load(const char *path, VmmState *ret, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        r = read_file_at(AT_FDCWD, path, VM_STATE_FILE_MAX, &text, &n);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));

        r = vmm_state_parse(text, n, ret, reterr_message);
        return r < 0 ? error_prefixf(reterr_message, r, "%s", path) : 0;
}
