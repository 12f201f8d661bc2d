/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line reads of a bundle: see oci-bundle.h. The content may come from an image. */

#include "runtime/cli/oci-bundle.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "runtime/oci/json-parse.h"

static const char *const pod_annotations[] = {
        "io.kubernetes.cri-o.SandboxID",
        "io.kubernetes.cri.sandbox-id",
};

void bundle_done(OciBundle *b)
{
        free(b->path);
        free(b->rootfs);
        json_object_put(b->config);
        *b = (OciBundle) {};
}

/* The value at a path of names, or NULL. */
static json_object *get(const OciBundle *b, const char *first, const char *second)
{
        json_object *o = b->config, *value = NULL;

        if (!json_object_object_get_ex(o, first, &value))
                return NULL;
        if (!second)
                return value;
        if (!json_object_is_type(value, json_type_object) || !json_object_object_get_ex(value, second, &o))
                return NULL;
        return o;
}

static const char *get_string(const OciBundle *b, const char *first, const char *second)
{
        json_object *o = get(b, first, second);

        return json_object_is_type(o, json_type_string) ? json_object_get_string(o) : NULL;
}

static int find_rootfs(OciBundle *b, const char *file, char **reterr_message)
{
        const char *path = get_string(b, "root", "path");

        if (isempty(path))
                return error_setf(reterr_message, -EINVAL, "%s: root.path is missing", file);
        if (path[0] == '/')
                b->rootfs = strdup(path);
        else if (asprintf(&b->rootfs, "%s/%s", b->path, path) < 0)
                b->rootfs = NULL;
        return b->rootfs ? 0 : -ENOMEM;
}

static int read_config(OciBundle *b, char **reterr_message)
{
        _cleanup_free_ char *file = NULL, *text = NULL;
        size_t n;
        int r;

        if (asprintf(&file, "%s/config.json", b->path) < 0) {
                file = NULL;
                return -ENOMEM;
        }
        r = read_file_at(AT_FDCWD, file, OCI_CONFIG_MAX, &text, &n);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", file, strerror(-r));
        r = json_parse_object(file, text, n, &b->config, reterr_message);
        return r < 0 ? r : find_rootfs(b, file, reterr_message);
}

int bundle_open(const char *path, OciBundle *ret, char **reterr_message)
{
        OciBundle b = {};
        int r;

        b.path = realpath(path ? path : ".", NULL);
        if (!b.path) {
                r = negative_errno();
                return error_setf(reterr_message, r, "bundle %s: %s", path ? path : ".", strerror(-r));
        }
        r = read_config(&b, reterr_message);
        if (r < 0) {
                bundle_done(&b);
                return r;
        }
        *ret = b;
        return 0;
}

const char *bundle_version(const OciBundle *b)
{
        const char *version = get_string(b, "ociVersion", NULL);

        return version ? version : "1.0.2";
}

bool bundle_terminal(const OciBundle *b)
{
        return json_object_get_boolean(get(b, "process", "terminal"));
}

static uint16_t get_size(json_object *size, const char *name)
{
        json_object *value;
        int64_t n;

        if (!json_object_is_type(size, json_type_object) || !json_object_object_get_ex(size, name, &value))
                return 0;
        n = json_object_get_int64(value);
        return n > 0 && n <= UINT16_MAX ? (uint16_t) n : 0;
}

void bundle_console_size(const OciBundle *b, uint16_t *ret_rows, uint16_t *ret_columns)
{
        json_object *size = get(b, "process", "consoleSize");

        *ret_rows = get_size(size, "height");
        *ret_columns = get_size(size, "width");
}

json_object *bundle_annotations(const OciBundle *b)
{
        json_object *o = get(b, "annotations", NULL);

        return json_object_is_type(o, json_type_object) ? o : NULL;
}

const char *bundle_pod(const OciBundle *b, const char *id)
{
        for (size_t i = 0; i < ELEMENTSOF(pod_annotations); i++) {
                const char *pod = get_string(b, "annotations", pod_annotations[i]);

                if (!isempty(pod) && !streq(pod, id))
                        return pod;
        }
        return NULL;
}

bool bundle_in_pod(const OciBundle *b)
{
        for (size_t i = 0; i < ELEMENTSOF(pod_annotations); i++)
                if (!isempty(get_string(b, "annotations", pod_annotations[i])))
                        return true;
        return false;
}

json_object *bundle_resources(const OciBundle *b)
{
        json_object *o = get(b, "linux", "resources");

        return json_object_is_type(o, json_type_object) ? o : NULL;
}

static int64_t get_number(json_object *o, const char *group, const char *name)
{
        json_object *value;

        if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, group, &value) ||
            !json_object_is_type(value, json_type_object) || !json_object_object_get_ex(value, name, &o))
                return 0;
        return json_object_get_int64(o);
}

void bundle_limits(const OciBundle *b, uint64_t *ret_memory, unsigned *ret_cpus)
{
        json_object *resources = get(b, "linux", "resources");
        int64_t memory = get_number(resources, "memory", "limit"), quota = get_number(resources, "cpu", "quota"),
                period = get_number(resources, "cpu", "period");

        *ret_memory = memory > 0 ? (uint64_t) memory : 0;
        *ret_cpus = quota > 0 && period > 0 ? (unsigned) MIN((quota + period - 1) / period, (int64_t) VM_VCPUS_MAX) : 0;
}

json_object *bundle_process(const OciBundle *b)
{
        json_object *o = get(b, "process", NULL);

        return json_object_is_type(o, json_type_object) ? o : NULL;
}

const char *bundle_cgroups_path(const OciBundle *b)
{
        const char *path = get_string(b, "linux", "cgroupsPath");

        return isempty(path) ? NULL : path;
}

json_object *bundle_hooks(const OciBundle *b)
{
        json_object *o = get(b, "hooks", NULL);

        return json_object_is_type(o, json_type_object) ? o : NULL;
}

json_object *bundle_mounts(const OciBundle *b)
{
        json_object *o = get(b, "mounts", NULL);

        return json_object_is_type(o, json_type_array) ? o : NULL;
}

bool bundle_root_is_read_only(const OciBundle *b)
{
        return json_object_get_boolean(get(b, "root", "readonly"));
}

int bundle_network_namespace(const OciBundle *b, const char **ret_path)
{
        json_object *list = get(b, "linux", "namespaces");

        for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
                json_object *ns = json_object_array_get_idx(list, i), *type, *path = NULL;

                if (!json_object_is_type(ns, json_type_object) || !json_object_object_get_ex(ns, "type", &type) ||
                    !streq_ptr(json_object_get_string(type), "network"))
                        continue;
                (void) json_object_object_get_ex(ns, "path", &path);
                *ret_path = json_object_is_type(path, json_type_string) && *json_object_get_string(path) ?
                            json_object_get_string(path) : NULL;
                return 1;
        }
        return 0;
}
