/* SPDX-License-Identifier: Apache-2.0 */
/* Processes for exec: see exec-process.h. */

#include "runtime/cli/exec-process.h"

#include <fcntl.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "runtime/oci/json-parse.h"

int exec_process_read(const char *path, json_object **ret, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r = read_file_at(AT_FDCWD, path, OCI_CONFIG_MAX, &text, &n);

        if (r < 0)
                return error_setf(reterr_message, r, "--process %s: %s", path, strerror(-r));
        return json_parse_object(path, text, n, ret, reterr_message);
}

bool exec_process_terminal(json_object *process)
{
        json_object *value;

        return json_object_object_get_ex(process, "terminal", &value) && json_object_get_boolean(value);
}

static json_object *array_of(char *const *v, size_t n)
{
        json_object *list = json_object_new_array();

        for (size_t i = 0; i < n; i++)
                json_object_array_add(list, json_object_new_string(v[i]));
        return list;
}

/* The list at that name, made if it is missing; in a copy, nobody else's. */
static json_object *list_of(json_object *o, const char *name)
{
        json_object *list;

        if (!json_object_object_get_ex(o, name, &list) || !json_object_is_type(list, json_type_array)) {
                list = json_object_new_array();
                json_object_object_add(o, name, list);
        }
        return list;
}

/* UID[:GID] */
static int set_user(json_object *process, const CliArgs *args, char **reterr_message)
{
        _cleanup_free_ char *text = args->user ? strdup(args->user) : NULL;
        json_object *user = json_object_new_object(), *groups;
        uint32_t uid = 0, gid = 0;
        const char *group;
        char *colon;

        if (args->user && !text) {
                json_object_put(user);
                return -ENOMEM;
        }
        colon = text ? strchr(text, ':') : NULL;
        if (colon)
                *colon = '\0';
        if (text && (parse_u32(text, &uid) < 0 || (colon && parse_u32(colon + 1, &gid) < 0))) {
                json_object_put(user);
                return error_setf(reterr_message, -EINVAL, "--user '%s' is not UID or UID:GID", args->user);
        }
        json_object_object_add(user, "uid", json_object_new_int64(uid));
        json_object_object_add(user, "gid", json_object_new_int64(gid));
        groups = list_of(user, "additionalGids");
        json_object_object_add(process, "user", user);
        STRV_FOREACH(group, &args->additional_gids) {
                uint32_t n;

                if (parse_u32(group, &n) < 0)
                        return error_setf(reterr_message, -EINVAL, "--additional-gids '%s' is no number", group);
                json_object_array_add(groups, json_object_new_int64(n));
        }
        return 0;
}

/* Added to all sets that they have an effect in. */
static void add_capabilities(json_object *process, const Strv *caps)
{
        static const char *const sets[] = { "bounding", "effective", "permitted" };
        json_object *all;
        const char *cap;

        if (caps->n == 0)
                return;
        if (!json_object_object_get_ex(process, "capabilities", &all) ||
            !json_object_is_type(all, json_type_object)) {
                all = json_object_new_object();
                json_object_object_add(process, "capabilities", all);
        }
        for (size_t i = 0; i < ELEMENTSOF(sets); i++)
                STRV_FOREACH(cap, caps)
                        json_object_array_add(list_of(all, sets[i]), json_object_new_string(cap));
}

int exec_process_make(const OciBundle *bundle, const CliArgs *args, char *const *words, size_t n_words,
                      json_object **ret, char **reterr_message)
{
        json_object *of_container = bundle_process(bundle), *process = NULL;
        const char *variable;
        int r = 0;

        if (!of_container)
                return error_setf(reterr_message, -EINVAL, "%s/config.json: process is missing", bundle->path);
        if (json_object_deep_copy(of_container, &process, NULL) < 0)
                return -ENOMEM;

        json_object_object_add(process, "args", array_of(words, n_words));
        json_object_object_del(process, "commandLine");
        json_object_object_add(process, "terminal", json_object_new_boolean(args->tty));
        json_object_object_del(process, "consoleSize");
        if (args->cwd)
                json_object_object_add(process, "cwd", json_object_new_string(args->cwd));
        if (args->no_new_privs)
                json_object_object_add(process, "noNewPrivileges", json_object_new_boolean(true));
        STRV_FOREACH(variable, &args->env)
                json_object_array_add(list_of(process, "env"), json_object_new_string(variable));
        add_capabilities(process, &args->capabilities);
        if (args->user || args->additional_gids.n > 0)
                r = set_user(process, args, reterr_message);
        if (r < 0) {
                json_object_put(process);
                return r;
        }
        *ret = process;
        return 0;
}
