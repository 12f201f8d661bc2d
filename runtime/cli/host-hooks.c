/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks of the host: see host-hooks.h. The configuration is the caller's, who has our rights anyway. */

#include "runtime/cli/host-hooks.h"

#include <signal.h>

#include "basic/error.h"
#include "basic/hook.h"
#include "basic/limits.h"

static const char *const kinds[] = { "prestart", "createRuntime", "poststart", "poststop" };

static json_object *get(json_object *o, const char *name, json_type type)
{
        json_object *value;

        return json_object_object_get_ex(o, name, &value) && json_object_is_type(value, type) ? value : NULL;
}

static int take_strings(json_object *o, const char *name, Strv *ret, size_t max)
{
        json_object *list = get(o, name, json_type_array);
        size_t n = list ? json_object_array_length(list) : 0;

        if (n > max)
                return -E2BIG;
        for (size_t i = 0; i < n; i++) {
                json_object *s = json_object_array_get_idx(list, i);
                int r = json_object_is_type(s, json_type_string) ? strv_add(ret, json_object_get_string(s)) : -EINVAL;

                if (r < 0)
                        return r;
        }
        return 0;
}

static int parse_hook(json_object *o, Hook *hook)
{
        json_object *path = get(o, "path", json_type_string), *timeout;
        int r;

        if (!path || json_object_get_string(path)[0] != '/')
                return -EINVAL;
        hook->path = strdup(json_object_get_string(path));
        if (!hook->path)
                return -ENOMEM;
        r = take_strings(o, "args", &hook->args, CONTAINER_ARGS_MAX);
        if (r >= 0 && hook->args.n == 0)
                r = strv_add(&hook->args, hook->path);
        if (r >= 0)
                r = take_strings(o, "env", &hook->env, SPEC_ENV_MAX);
        if (r < 0)
                return r;

        /* Nobody waits for ever: a caller that wants to wait long says so. */
        hook->timeout_sec = HOOK_TIMEOUT_MAX_SEC;
        if (json_object_object_get_ex(o, "timeout", &timeout) && timeout) {
                int64_t t = json_object_get_int64(timeout);

                if (!json_object_is_type(timeout, json_type_int) || t <= 0 || t > HOOK_TIMEOUT_MAX_SEC)
                        return -ERANGE;
                hook->timeout_sec = (unsigned) t;
        }
        return 0;
}

static int load_hook(json_object *hooks, const char *kind, size_t i, Hook *ret, char **reterr_message)
{
        json_object *list = get(hooks, kind, json_type_array), *o = json_object_array_get_idx(list, i);
        Hook hook = {};
        int r = json_object_is_type(o, json_type_object) ? parse_hook(o, &hook) : -EINVAL;

        if (r < 0) {
                hook_done(&hook);
                return error_setf(reterr_message, r, "hooks.%s[%zu]: %s", kind, i,
                                  r == -ERANGE ? "timeout is a number of seconds from 1 to 3600" :
                                  r == -E2BIG ? "too many arguments or variables" :
                                  "needs an absolute path; args and env are lists of strings");
        }
        *ret = hook;
        return 0;
}

static int count(json_object *hooks, const char *kind, size_t *ret, char **reterr_message)
{
        json_object *list;

        *ret = 0;
        if (!hooks || !json_object_object_get_ex(hooks, kind, &list) || !list)
                return 0;
        if (!json_object_is_type(list, json_type_array))
                return error_setf(reterr_message, -EINVAL, "hooks.%s is no list", kind);
        *ret = json_object_array_length(list);
        return *ret <= HOOKS_MAX ? 0 : error_setf(reterr_message, -E2BIG, "hooks.%s: more than %u", kind, HOOKS_MAX);
}

int host_hooks_check(json_object *hooks, char **reterr_message)
{
        for (size_t k = 0; k < ELEMENTSOF(kinds); k++) {
                size_t n;
                int r = count(hooks, kinds[k], &n, reterr_message);

                for (size_t i = 0; r >= 0 && i < n; i++) {
                        Hook hook;

                        r = load_hook(hooks, kinds[k], i, &hook, reterr_message);
                        if (r >= 0)
                                hook_done(&hook);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int host_hooks_run(json_object *hooks, const char *kind, json_object *state, char **reterr_message)
{
        struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
        /* The container is gone: what one has not done is no reason to leave out the others. */
        bool all = streq(kind, "poststop");
        const char *text = json_object_to_json_string_ext(state, JSON_C_TO_STRING_PLAIN);
        size_t n;
        int r = count(hooks, kind, &n, reterr_message);

        if (r < 0 || n == 0)
                return r;
        if (!text)
                return -ENOMEM;
        if (sigaction(SIGPIPE, &ignore, &before) < 0)
                return negative_errno();
        for (size_t i = 0; i < n && (r >= 0 || all); i++) {
                char **message = r < 0 ? NULL : reterr_message;
                Hook hook;
                int k = load_hook(hooks, kind, i, &hook, message);

                if (k >= 0) {
                        k = hook_run(&hook, kind, text, strlen(text), message);
                        hook_done(&hook);
                }
                if (r >= 0)
                        r = k;
        }
        (void) sigaction(SIGPIPE, &before, NULL);
        return r;
}
