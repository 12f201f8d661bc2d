/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json → OciSpec: see the header. Parse into the message, then check the whole; nothing is
 * done.
 */

#include "runtime/oci/spec-load.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"
#include "runtime/oci/json-parse.h"
#include "runtime/oci/json-pb.h"
#include "runtime/oci/spec-extension.h"

/*
 * What the agent protocol has no field for. Refused: what keeps processes apart or limits them,
 * since a container without it is not the one that was asked for. Noted: what tunes.
 */
static const JsonRule rules[] = {
        { "ociVersion", JSON_RULE_ALIAS, .field = "Version" },

        /* Those with a field in the extension of our agent: spec-extension.c. */
        { "domainname", JSON_RULE_IGNORE },
        { "process.user.umask", JSON_RULE_IGNORE },
        { "process.ioPriority", JSON_RULE_IGNORE },
        { "process.scheduler", JSON_RULE_IGNORE },
        { "process.execCPUAffinity", JSON_RULE_IGNORE },
        { "linux.personality", JSON_RULE_IGNORE },
        { "linux.timeOffsets", JSON_RULE_IGNORE },
        { "linux.resources.unified", JSON_RULE_IGNORE },
        { "mounts[].uidMappings", JSON_RULE_IGNORE },
        { "mounts[].gidMappings", JSON_RULE_IGNORE },

        { "solaris", JSON_RULE_REFUSE },
        { "windows", JSON_RULE_REFUSE },
        { "vm", JSON_RULE_REFUSE },
        { "zos", JSON_RULE_REFUSE },
        { "process.commandLine", JSON_RULE_NOTE },
        { "linux.netDevices", JSON_RULE_REFUSE },
        { "linux.memoryPolicy", JSON_RULE_NOTE },
        { "linux.resources.rdma", JSON_RULE_REFUSE },
        { "linux.resources.cpu.idle", JSON_RULE_NOTE },
        { "linux.resources.cpu.burst", JSON_RULE_NOTE },
        /* Both are about cgroup v1, or about limits that exist already. */
        { "linux.resources.memory.useHierarchy", JSON_RULE_IGNORE },
        { "linux.resources.memory.checkBeforeUpdate", JSON_RULE_IGNORE },
        { "linux.seccomp.listenerPath", JSON_RULE_REFUSE },
        { "linux.seccomp.listenerMetadata", JSON_RULE_NOTE },
        /* The agent answers EPERM, which is the default of the OCI specification as well. */
        { "linux.seccomp.defaultErrnoRet", JSON_RULE_NOTE, .value = EPERM },
        /* podman's names for the two numbers. */
        { "linux.seccomp.defaultErrno", JSON_RULE_IGNORE },
        { "linux.seccomp.syscalls[].errno", JSON_RULE_IGNORE },
        {},
};

OciSpec *oci_spec_free(OciSpec *spec)
{
        if (!spec)
                return NULL;

        pb_arena_done(&spec->arena);
        free(spec->bundle);
        strv_done(&spec->notes);
        return mfree(spec);
}

int oci_spec_new(OciSpec **ret)
{
        OciSpec *spec = new0(OciSpec, 1);

        if (!spec)
                return -ENOMEM;
        pb_arena_init(&spec->arena, 0);
        *ret = spec;
        return 0;
}

char *oci_spec_strdup(OciSpec *spec, const char *s)
{
        size_t n = strlen(s) + 1;
        char *copy = pb_arena_alloc(&spec->arena, n);

        return copy ? memcpy(copy, s, n) : NULL;
}

char *oci_spec_printf(OciSpec *spec, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);

        return text ? oci_spec_strdup(spec, text) : NULL;
}

void *oci_spec_message(OciSpec *spec, const ProtobufCMessageDescriptor *desc)
{
        void *message = pb_arena_alloc(&spec->arena, desc->sizeof_message);

        if (message)
                protobuf_c_message_init(desc, message);
        return message;
}

char **oci_spec_strings(OciSpec *spec, char *const *v, size_t n)
{
        char **copy = pb_arena_alloc(&spec->arena, (n > 0 ? n : 1) * sizeof(char *));

        for (size_t i = 0; copy && i < n; i++) {
                copy[i] = oci_spec_strdup(spec, v[i]);
                if (!copy[i])
                        return NULL;
        }

        return copy;
}

int oci_spec_note(OciSpec *spec, const char *format, ...)
{
        _cleanup_free_ char *text = NULL, *line = NULL;
        va_list ap;

        if (spec->notes.n >= OCI_NOTES_MAX)
                return 0;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);

        /* Notes quote the spec. */
        line = text ? text_escape(text, strlen(text), 512) : NULL;
        return line ? strv_add(&spec->notes, line) : -ENOMEM;
}

/* The absence of a device number means "all", which is -1 on the wire, not 0. */
static void init_message(ProtobufCMessage *message)
{
        if (message->descriptor == &grpc__linux_device_cgroup__descriptor) {
                Grpc__LinuxDeviceCgroup *d = (void *) message;

                d->major = d->minor = -1;
        }
}

static bool is_absolute(const char *path)
{
        return path[0] == '/' && strlen(path) < PATH_MAX;
}

static bool has_dot_dot(const char *path)
{
        for (const char *p = path; p; p = strchr(p, '/')) {
                p += strspn(p, "/");
                if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
                        return true;
        }

        return false;
}

static int check_process(const char *name, const Grpc__Process *p, char **reterr_message)
{
        if (p->n_args == 0 || isempty(p->args[0]))
                return error_setf(reterr_message, -EINVAL, "%s: process.args: no program is named",
                                  name);
        if (p->n_args > CONTAINER_ARGS_MAX || p->n_env > CONTAINER_ARGS_MAX)
                return error_setf(reterr_message, -E2BIG, "%s: process.%s: more than %u elements",
                                  name, p->n_args > CONTAINER_ARGS_MAX ? "args" : "env",
                                  CONTAINER_ARGS_MAX);
        if (!is_absolute(p->cwd))
                return error_setf(reterr_message, -EINVAL,
                                  "%s: process.cwd: expected an absolute path", name);

        for (size_t i = 0; i < p->n_rlimits; i++) {
                if (!startswith(p->rlimits[i]->type, "RLIMIT_"))
                        return error_setf(reterr_message, -EINVAL,
                                          "%s: process.rlimits[%zu].type: expected RLIMIT_...",
                                          name, i);
                if (p->rlimits[i]->soft > p->rlimits[i]->hard)
                        return error_setf(
                                        reterr_message, -EINVAL,
                                        "%s: process.rlimits[%zu]: the soft limit is above the hard one",
                                        name, i);
        }

        return 0;
}

static int check_mounts(const char *name, const Grpc__Spec *spec, char **reterr_message)
{
        if (spec->n_mounts > MOUNTS_MAX)
                return error_setf(reterr_message, -E2BIG, "%s: mounts: more than %u", name,
                                  MOUNTS_MAX);

        for (size_t i = 0; i < spec->n_mounts; i++)
                if (!is_absolute(spec->mounts[i]->destination) ||
                    has_dot_dot(spec->mounts[i]->destination))
                        return error_setf(
                                        reterr_message, -EINVAL,
                                        "%s: mounts[%zu].destination: expected an absolute path without '..'",
                                        name, i);

        return 0;
}

static int check_namespaces(const char *name, const Grpc__Linux *l, char **reterr_message)
{
        static const char *const known[] = { "pid", "network", "mount",  "ipc",
                                             "uts", "user",    "cgroup", "time" };
        unsigned seen = 0;

        for (size_t i = 0; i < l->n_namespaces; i++) {
                size_t k;

                for (k = 0; k < ELEMENTSOF(known) && !streq(known[k], l->namespaces[i]->type); k++)
                        ;
                if (k == ELEMENTSOF(known))
                        return error_setf(
                                        reterr_message, -EINVAL,
                                        "%s: linux.namespaces[%zu].type: expected pid, network, mount, ipc, uts, "
                                        "user, cgroup or time",
                                        name, i);
                if (seen & (1U << k))
                        return error_setf(reterr_message, -EINVAL,
                                          "%s: linux.namespaces[%zu]: second '%s' namespace", name,
                                          i, known[k]);
                seen |= 1U << k;
        }

        return 0;
}

static int check_spec(const char *name, const Grpc__Spec *spec, char **reterr_message)
{
        int r;

        if (!startswith(spec->version, "1."))
                return error_setf(reterr_message, -EINVAL, "%s: ociVersion: expected 1.x", name);
        if (!spec->process)
                return error_setf(reterr_message, -EINVAL, "%s: process: missing", name);
        if (!spec->root || isempty(spec->root->path) || strlen(spec->root->path) >= PATH_MAX)
                return error_setf(reterr_message, -EINVAL, "%s: root.path: missing or too long",
                                  name);
        if (!spec->linux)
                return error_setf(reterr_message, -EINVAL, "%s: linux: missing", name);
        if (strlen(spec->hostname) > HOSTNAME_LEN_MAX)
                return error_setf(reterr_message, -EINVAL,
                                  "%s: hostname: longer than %u characters", name,
                                  HOSTNAME_LEN_MAX);

        r = check_process(name, spec->process, reterr_message);
        if (r < 0)
                return r;
        r = check_mounts(name, spec, reterr_message);
        if (r < 0)
                return r;
        return check_namespaces(name, spec->linux, reterr_message);
}

/* The message for a JSON object; nothing of it is checked as a whole yet. */
static int spec_from_json(const char *name, json_object *object, OciSpec **ret, char **reterr_message)
{
        _cleanup_oci_spec_ OciSpec *spec = NULL;
        JsonPb ctx;
        int r;

        r = oci_spec_new(&spec);
        if (r < 0)
                return r;

        ctx = (JsonPb) {
                .arena = &spec->arena,
                .rules = rules,
                .file = name,
                .notes = &spec->notes,
                .reterr_message = reterr_message,
                .init = init_message,
        };
        r = json_pb_object(&ctx, object, &grpc__spec__descriptor, &spec->spec);
        if (r >= 0)
                r = spec_extension_parse(spec, &ctx, object);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(spec);
        return 0;
}

int oci_spec_parse(const char *name, const char *text, size_t size, OciSpec **ret,
                   char **reterr_message)
{
        _cleanup_json_ json_object *object = NULL;
        _cleanup_oci_spec_ OciSpec *spec = NULL;
        int r;

        r = json_parse_object(name, text, size, &object, reterr_message);
        if (r >= 0)
                r = spec_from_json(name, object, &spec, reterr_message);
        if (r >= 0)
                r = check_spec(name, spec->spec, reterr_message);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(spec);
        return 0;
}

/* {} → {"key": {}}: so that the rules find their paths. Takes *object. */
static int wrap(json_object **object, const char *key)
{
        json_object *outer = json_object_new_object();

        if (!outer)
                return -ENOMEM;
        if (json_object_object_add(outer, key, *object) < 0) {
                json_object_put(outer);
                return -ENOMEM;
        }
        *object = outer;
        return 0;
}

static int part_parse(const char *name, const char *text, size_t size, const char *key, const char *outer_key,
                      OciSpec **ret, char **reterr_message)
{
        _cleanup_json_ json_object *object = NULL;
        _cleanup_oci_spec_ OciSpec *spec = NULL;
        int r;

        r = json_parse_object(name, text, size, &object, reterr_message);
        if (r >= 0)
                r = wrap(&object, key);
        if (r >= 0 && outer_key)
                r = wrap(&object, outer_key);
        if (r >= 0)
                r = spec_from_json(name, object, &spec, reterr_message);
        if (r < 0)
                return r;
        /* An empty object is no object for the parser. */
        if (!spec->spec->process)
                spec->spec->process = oci_spec_message(spec, &grpc__process__descriptor);
        if (!spec->spec->root)
                spec->spec->root = oci_spec_message(spec, &grpc__root__descriptor);
        if (!spec->spec->linux)
                spec->spec->linux = oci_spec_message(spec, &grpc__linux__descriptor);
        if (!spec->spec->process || !spec->spec->root || !spec->spec->linux)
                return -ENOMEM;

        *ret = TAKE_PTR(spec);
        return 0;
}

int oci_process_parse(const char *name, const char *text, size_t size, OciSpec **ret, char **reterr_message)
{
        _cleanup_oci_spec_ OciSpec *spec = NULL;
        int r;

        r = part_parse(name, text, size, "process", NULL, &spec, reterr_message);
        if (r >= 0)
                r = check_process(name, spec->spec->process, reterr_message);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(spec);
        return 0;
}

int oci_resources_parse(const char *name, const char *text, size_t size, OciSpec **ret,
                        char **reterr_message)
{
        return part_parse(name, text, size, "resources", "linux", ret, reterr_message);
}

/* The guest makes a /dev/shm of its own: as large as the one that the caller has made for the container. */
static uint64_t find_shm_size(const OciSpec *spec)
{
        for (size_t i = 0; i < spec->spec->n_mounts; i++) {
                const Grpc__Mount *m = spec->spec->mounts[i];
                struct statfs st;

                if (streq(m->destination, "/dev/shm") && m->source[0] == '/' && statfs(m->source, &st) >= 0 &&
                    st.f_type == TMPFS_MAGIC && st.f_blocks > 0)
                        return (uint64_t) st.f_blocks * (uint64_t) st.f_bsize;
        }
        return 0;
}

int oci_spec_load(const char *bundle, OciSpec **ret, char **reterr_message)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        _cleanup_oci_spec_ OciSpec *spec = NULL;
        size_t size;
        int r;

        if (bundle[0] != '/')
                return error_setf(reterr_message, -EINVAL, "bundle '%s' is not an absolute path",
                                  bundle);
        if (asprintf(&path, "%s/config.json", bundle) < 0) {
                path = NULL;
                return -ENOMEM;
        }

        r = read_file_at(AT_FDCWD, path, OCI_CONFIG_MAX, &text, &size);
        if (r == -ENOENT && access(bundle, F_OK) < 0)
                return error_setf(reterr_message, r, "bundle %s does not exist", bundle);
        if (r == -EFBIG)
                return error_setf(reterr_message, r, "%s: larger than %zu KiB", path,
                                  OCI_CONFIG_MAX / 1024);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));

        r = oci_spec_parse(path, text, size, &spec, reterr_message);
        if (r < 0)
                return r;

        spec->bundle = strdup(bundle);
        if (!spec->bundle)
                return -ENOMEM;
        spec->shm_size = find_shm_size(spec);

        *ret = TAKE_PTR(spec);
        return 0;
}
