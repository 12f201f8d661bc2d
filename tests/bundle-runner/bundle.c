/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles: see bundle.h. */

#include "tests/bundle-runner/bundle.h"

#include <fcntl.h>
#include <limits.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "runtime/oci/json-parse.h"
#include "runtime/oci/json-pb.h"

static int load_config(const char *path, OciSpec **ret, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        r = read_file_at(AT_FDCWD, path, OCI_CONFIG_MAX, &text, &n);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", path, strerror(-r));
        return oci_spec_parse(path, text, n, ret, reterr_message);
}

int bundle_load_process(OciSpec *oci, const char *file, Grpc__Process **ret, char **reterr_message)
{
        static const JsonRule rules[] = {
                { "user.umask", JSON_RULE_REFUSE, .value = 022 },
                {},
        };
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ json_object *o = NULL;
        JsonPb ctx = {
                .arena = &oci->arena, .rules = rules, .file = file, .notes = &oci->notes,
                .reterr_message = reterr_message,
        };
        size_t n;
        int r;

        if (!file) {
                *ret = oci->spec->process;
                return 0;
        }

        r = read_file_at(AT_FDCWD, file, OCI_CONFIG_MAX, &text, &n);
        if (r < 0)
                return error_setf(reterr_message, r, "%s: %s", file, strerror(-r));
        r = json_parse_object(file, text, n, &o, reterr_message);
        return r < 0 ? r : json_pb_object(&ctx, o, &grpc__process__descriptor, ret);
}

static bool is_bind(const Grpc__Mount *m)
{
        bool bind = streq(m->type, "bind");

        for (size_t i = 0; i < m->n_options; i++)
                bind = bind || streq(m->options[i], "bind") || streq(m->options[i], "rbind");
        return bind;
}

static int absolute_sources(OciSpec *oci)
{
        for (size_t i = 0; i < oci->spec->n_mounts; i++) {
                Grpc__Mount *m = oci->spec->mounts[i];

                if (isempty(m->source) || m->source[0] == '/' || !is_bind(m))
                        continue;
                m->source = oci_spec_printf(oci, "%s/%s", oci->bundle, m->source);
                if (!m->source)
                        return -ENOMEM;
        }

        return 0;
}

static int absolute_root(OciSpec *oci, char **reterr_message)
{
        Grpc__Root *root = oci->spec->root;
        char *path = root->path, resolved[PATH_MAX];
        int r;

        if (path[0] != '/')
                path = oci_spec_printf(oci, "%s/%s", oci->bundle, path);
        if (!path)
                return -ENOMEM;
        if (!realpath(path, resolved)) {
                r = negative_errno();
                return error_setf(reterr_message, r, "root.path '%s': %s", path, strerror(-r));
        }

        root->path = oci_spec_strdup(oci, resolved);
        return root->path ? 0 : -ENOMEM;
}

int bundle_load(const char *directory, const char *config, OciSpec **ret, char **reterr_message)
{
        _cleanup_oci_spec_ OciSpec *oci = NULL;
        char bundle[PATH_MAX];
        int r;

        if (!realpath(directory ?: ".", bundle)) {
                r = negative_errno();
                return error_setf(reterr_message, r, "bundle '%s': %s", directory ?: ".", strerror(-r));
        }

        if (config) {
                r = load_config(config, &oci, reterr_message);
                if (r >= 0) {
                        oci->bundle = strdup(bundle);
                        r = oci->bundle ? 0 : -ENOMEM;
                }
        } else
                r = oci_spec_load(bundle, &oci, reterr_message);
        if (r < 0)
                return r;

        if (oci->spec->process->terminal)
                return error_setf(reterr_message, -EOPNOTSUPP, "process.terminal: terminals are not supported by "
                                  "this runner");

        r = absolute_root(oci, reterr_message);
        if (r >= 0)
                r = absolute_sources(oci);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(oci);
        return 0;
}
