/* SPDX-License-Identifier: Apache-2.0 */
/* Requests against the policy: see policy-check.h. */

#include "agent/policy-check.h"

#include "basic/error.h"
#include "basic/parse.h"
#include "basic/strv.h"
#include "proto/agent.pb-c.h"
#include "proto/extension.pb-c.h"

#define TEXT_MAX 200U

static const char *const image_annotations[] = {
        "io.kubernetes.cri.image-name",
        "io.kubernetes.cri-o.ImageName",
};

static int refuse(PolicyKind kind, const char *what, const char *name, char **reterr_message)
{
        _cleanup_free_ char *shown = text_escape(name, strlen(name), TEXT_MAX);

        return error_setf(reterr_message, EACCES, "the policy refuses %s '%s' (%s=)", what, strempty(shown),
                          policy_kind_to_string(kind));
}

static bool permits(const Policy *policy, PolicyKind kind, const char *a, const char *b, const char *c)
{
        const char *const words[POLICY_WORDS_MAX] = { a, b, c };

        return policy_permits(policy, kind, words);
}

static int check_image(const Policy *policy, const char *name, char **reterr_message)
{
        return permits(policy, POLICY_IMAGE, name, NULL, NULL) ? 0
                                                               : refuse(POLICY_IMAGE, "image", name, reterr_message);
}

/* Directories that an overlay is made of: "KEY=PATH:PATH". */
static int check_layers(const Policy *policy, const Grpc__Storage *s, const char *option, char **reterr_message)
{
        static const char *const keys[] = {
                "lowerdir=", "upperdir=", "workdir=", "io.katacontainers.volume.overlayfs.create_directory=",
        };
        _cleanup_free_ char *copy = NULL;
        const char *value = NULL;
        char *rest, *path;

        for (size_t i = 0; i < ELEMENTSOF(keys) && !value; i++)
                value = startswith(option, keys[i]);
        if (!value)
                return 0;
        rest = copy = strdup(value);
        if (!copy)
                return -ENOMEM;
        while ((path = strsep(&rest, ":")))
                if (!permits(policy, POLICY_STORAGE, s->driver, path, s->mount_point))
                        return refuse(POLICY_STORAGE, "the layer", path, reterr_message);
        return 0;
}

static int check_overlay(const Policy *policy, const Grpc__Storage *s, char **reterr_message)
{
        int r = 0;

        if (!streq(s->driver, "overlayfs"))
                return 0;
        for (size_t i = 0; r >= 0 && i < s->n_options; i++)
                r = check_layers(policy, s, s->options[i], reterr_message);
        for (size_t i = 0; r >= 0 && i < s->n_driver_options; i++)
                r = check_layers(policy, s, s->driver_options[i], reterr_message);
        return r;
}

static int check_storages(const Policy *policy, Grpc__Storage *const *storages, size_t n, char **reterr_message)
{
        for (size_t i = 0; i < n; i++) {
                const Grpc__Storage *s = storages[i];
                int r;

                if (!permits(policy, POLICY_STORAGE, s->driver, s->source, s->mount_point))
                        return refuse(POLICY_STORAGE, "storage for", s->mount_point, reterr_message);
                r = check_overlay(policy, s, reterr_message);
                if (r < 0)
                        return r;
                if (!streq(s->driver, "image_guest_pull"))
                        continue;
                r = check_image(policy, s->source, reterr_message);
                if (r < 0)
                        return r;
        }

        return 0;
}

static int check_environment(const Policy *policy, const Grpc__Process *process, char **reterr_message)
{
        for (size_t i = 0; process && i < process->n_env; i++) {
                const char *entry = process->env[i];

                if (!permits(policy, POLICY_ENVIRONMENT, entry, NULL, NULL)) {
                        _cleanup_free_ char *name = strndup(entry, strcspn(entry, "="));

                        /* Without the value, which may be a secret. */
                        return refuse(POLICY_ENVIRONMENT, "environment variable", strempty(name), reterr_message);
                }
        }

        return 0;
}

/* As a line of a definition has it: the name and its parameters, with one blank between two words. */
static int check_modules(const Policy *policy, const Grpc__CreateSandboxRequest *q, char **reterr_message)
{
        for (size_t i = 0; i < q->n_kernel_modules; i++) {
                const Grpc__KernelModule *m = q->kernel_modules[i];
                _cleanup_(strv_done) Strv words = {};
                _cleanup_free_ char *line = NULL;
                int r = strv_add(&words, m->name);

                for (size_t k = 0; r >= 0 && k < m->n_parameters; k++)
                        r = strv_add(&words, m->parameters[k]);
                if (r >= 0)
                        line = strv_join(&words, " ");
                if (!line)
                        return -ENOMEM;
                if (!permits(policy, POLICY_KERNEL_MODULE, line, NULL, NULL))
                        return refuse(POLICY_KERNEL_MODULE, "kernel module", line, reterr_message);
        }

        return 0;
}

/* A bind mount may say so in its options only. */
static const char *mount_type(const Grpc__Mount *m)
{
        for (size_t i = 0; i < m->n_options; i++)
                if (streq(m->options[i], "bind") || streq(m->options[i], "rbind"))
                        return "bind";

        return m->type;
}

static int check_mounts(const Policy *policy, const Grpc__Spec *spec, char **reterr_message)
{
        for (size_t i = 0; i < spec->n_mounts; i++) {
                const Grpc__Mount *m = spec->mounts[i];

                if (!permits(policy, POLICY_MOUNT, mount_type(m), m->source, m->destination))
                        return refuse(POLICY_MOUNT, "mount on", m->destination, reterr_message);
        }

        return 0;
}

/* What comes from another container: the source is CONTAINER:PATH. */
static int check_shared_mounts(const Policy *policy, Grpc__SharedMount *const *mounts, size_t n, char **reterr_message)
{
        for (size_t i = 0; i < n; i++) {
                const Grpc__SharedMount *m = mounts[i];
                _cleanup_free_ char *source = NULL;

                if (asprintf(&source, "%s:%s", m->src_ctr, m->src_path) < 0) {
                        source = NULL;
                        return -ENOMEM;
                }
                if (!permits(policy, POLICY_MOUNT, "shared", source, m->dst_path))
                        return refuse(POLICY_MOUNT, "shared mount on", m->dst_path, reterr_message);
        }

        return 0;
}

/* Every name that is given has to be permitted; and one has to be given, if names are restricted. */
static int check_images(const Policy *policy, const Grpc__CreateContainerRequest *q, char **reterr_message)
{
        bool named = false;

        if (!policy->lists[POLICY_IMAGE].given)
                return 0;

        for (size_t i = 0; i < q->n_storages; i++)
                if (streq(q->storages[i]->driver, "image_guest_pull"))
                        named = true;

        for (size_t i = 0; q->oci && i < q->oci->n_annotations; i++) {
                const Grpc__StringEntry *a = q->oci->annotations[i];

                for (size_t k = 0; k < ELEMENTSOF(image_annotations); k++) {
                        int r;

                        if (!streq(a->key, image_annotations[k]))
                                continue;
                        named = true;
                        r = check_image(policy, a->value, reterr_message);
                        if (r < 0)
                                return r;
                }
        }

        if (!named)
                return error_setf(reterr_message, EACCES, "the policy wants to know the image of a container "
                                  "(Image=), and the request does not name it");
        return 0;
}

/* Bytes that go through a stream of their own are asked for by no further request. */
static int check_ports(const Policy *policy, uint32_t in, uint32_t out, uint32_t err, char **reterr_message)
{
        const struct {
                uint32_t port;
                const char *method;
        } streams[] = { { in, "WriteStdin" }, { out, "ReadStdout" }, { err, "ReadStderr" } };

        for (size_t i = 0; i < ELEMENTSOF(streams); i++)
                if (streams[i].port != 0 && !permits(policy, POLICY_ALLOW, streams[i].method, NULL, NULL))
                        return refuse(POLICY_ALLOW, "a stream in place of", streams[i].method, reterr_message);

        return 0;
}

static int check_container(const Policy *policy, const Grpc__CreateContainerRequest *q, char **reterr_message)
{
        int r;

        r = check_ports(policy, q->stdin_port, q->stdout_port, q->stderr_port, reterr_message);
        if (r < 0)
                return r;

        r = check_storages(policy, q->storages, q->n_storages, reterr_message);
        if (r >= 0)
                r = check_images(policy, q, reterr_message);
        if (r >= 0 && q->oci)
                r = check_mounts(policy, q->oci, reterr_message);
        if (r >= 0)
                r = check_shared_mounts(policy, q->shared_mounts, q->n_shared_mounts, reterr_message);
        if (r >= 0 && q->oci)
                r = check_environment(policy, q->oci->process, reterr_message);
        return r;
}

static int check_exec(const Policy *policy, const Grpc__ExecProcessRequest *q, char **reterr_message)
{
        int r = check_ports(policy, q->stdin_port, q->stdout_port, q->stderr_port, reterr_message);

        return r < 0 ? r : check_environment(policy, q->process, reterr_message);
}

int policy_check(const Policy *policy, const char *service, const char *method,
                 const ProtobufCMessageDescriptor *type, const void *input, char **reterr_message)
{
        if (!policy || streq(service, "grpc.Health"))
                return 0;

        if (!permits(policy, POLICY_ALLOW, method, NULL, NULL)) {
                if (type == &grpc__read_stream_request__descriptor)
                        return 1;
                return refuse(POLICY_ALLOW, "the request", method, reterr_message);
        }

        if (type == &grpc__create_container_request__descriptor)
                return check_container(policy, input, reterr_message);
        if (type == &kata__systemd__v1__create_container_request__descriptor) {
                const Kata__Systemd__V1__CreateContainerRequest *q = input;

                return q->request ? check_container(policy, q->request, reterr_message) : 0;
        }
        if (type == &grpc__exec_process_request__descriptor)
                return check_exec(policy, input, reterr_message);
        if (type == &kata__systemd__v1__exec_process_request__descriptor) {
                const Kata__Systemd__V1__ExecProcessRequest *q = input;

                return q->request ? check_exec(policy, q->request, reterr_message) : 0;
        }
        if (type == &grpc__create_sandbox_request__descriptor) {
                const Grpc__CreateSandboxRequest *q = input;
                int r = check_storages(policy, q->storages, q->n_storages, reterr_message);

                return r < 0 ? r : check_modules(policy, q, reterr_message);
        }
        if (type == &grpc__update_ephemeral_mounts_request__descriptor) {
                const Grpc__UpdateEphemeralMountsRequest *q = input;

                return check_storages(policy, q->storages, q->n_storages, reterr_message);
        }
        return 0;
}
