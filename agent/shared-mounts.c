/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of one container in another one, the pure half: see shared-mounts.h. Requests are the host's. */

#include "agent/shared-mounts.h"

#include <limits.h>

#include "agent/confined-path.h"
#include "basic/error.h"
#include "basic/limits.h"
#include "basic/root-path.h"

void shared_mounts_done(SharedMounts *mounts)
{
        for (size_t i = 0; i < mounts->n; i++) {
                free(mounts->v[i].name);
                free(mounts->v[i].source);
                free(mounts->v[i].source_path);
                free(mounts->v[i].target_path);
        }
        free(mounts->v);
        *mounts = (SharedMounts) {};
}

const char *shared_mounts_container_name(const Grpc__Spec *spec)
{
        static const char *const keys[] = { "io.kubernetes.cri.container-name", "io.kubernetes.cri-o.ContainerName" };

        for (size_t k = 0; k < ELEMENTSOF(keys); k++)
                for (size_t i = 0; i < spec->n_annotations; i++)
                        if (streq(spec->annotations[i]->key, keys[k]) && *spec->annotations[i]->value)
                                return spec->annotations[i]->value;

        return NULL;
}

static int parse_one(SharedMount *ret, const char *id, const char *name, const Grpc__SharedMount *m,
                     char **reterr_message)
{
        int r;

        if (isempty(m->name) || strlen(m->name) > NAME_MAX)
                return error_setf(reterr_message, -EINVAL, "shared mount: missing or long name '%.200s'", m->name);
        /* A policy knows the source as CONTAINER:PATH. */
        if (isempty(m->src_ctr) || strlen(m->src_ctr) > NAME_MAX || strpbrk(m->src_ctr, ":/"))
                return error_setf(reterr_message, -EINVAL, "shared mount '%s': src_ctr '%.200s' is no name of a "
                                  "container", m->name, m->src_ctr);
        if (!isempty(m->dst_ctr) && !streq(m->dst_ctr, id) && !(name && streq(m->dst_ctr, name)))
                return error_setf(reterr_message, -EINVAL, "shared mount '%s' is for container '%.200s', not for "
                                  "this one", m->name, m->dst_ctr);

        ret->name = strdup(m->name);
        ret->source = strdup(m->src_ctr);
        if (!ret->name || !ret->source)
                return -ENOMEM;
        /* Not made normal: it is what a policy has seen. */
        r = confined_normalize(m->src_path, NULL, &ret->source_path);
        if (r < 0)
                return error_setf(reterr_message, r, "shared mount '%s': src_path '%.200s' is not an absolute path in "
                                  "normal form", m->name, m->src_path);
        r = confined_normalize(m->dst_path, NULL, &ret->target_path);
        if (r < 0)
                return error_setf(reterr_message, r, "shared mount '%s': dst_path '%.200s' is not an absolute path in "
                                  "normal form", m->name, m->dst_path);
        if (path_is_below(ret->target_path, "/proc"))
                return error_setf(reterr_message, -EPERM, "shared mount '%s': nothing is mounted on '%s'", m->name,
                                  ret->target_path);
        return 0;
}

int shared_mounts_parse(SharedMounts *ret, const char *id, const char *name, Grpc__SharedMount *const *mounts, size_t n,
                        char **reterr_message)
{
        _cleanup_(shared_mounts_done) SharedMounts parsed = {};
        int r;

        if (n > SHARED_MOUNTS_MAX)
                return error_setf(reterr_message, -E2BIG, "more than %u shared mounts", SHARED_MOUNTS_MAX);
        parsed.v = new0(SharedMount, n);
        if (!parsed.v)
                return -ENOMEM;
        while (parsed.n < n) {
                SharedMount *m = &parsed.v[parsed.n];

                /* Counted before it is filled: half of one is freed as well. */
                r = parse_one(m, id, name, mounts[parsed.n++], reterr_message);
                if (r < 0)
                        return r;
        }

        *ret = parsed;
        parsed = (SharedMounts) {};
        return 0;
}
