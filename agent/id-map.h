/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Mappings of user or group ids, as config-linux.md and user_namespaces(7) have them: of a container's user namespace,
 * or of an id-mapped mount, where inside is the id on the file system and outside the one that is seen. Pure.
 */

#include <sys/types.h>

#include "basic/cleanup.h"
#include "proto/oci.pb-c.h"

typedef struct IdRange {
        uint32_t inside, outside, n;    /* first ids, number */
} IdRange;

typedef struct IdMap {
        IdRange *ranges;
        size_t n;
} IdMap;

void id_map_done(IdMap *map);

/* -EINVAL for ranges that are empty, overlap or leave 32 bits; -E2BIG for more than the kernel takes. */
int id_map_parse(IdMap *ret, Grpc__LinuxIDMapping *const *mappings, size_t n, const char *what,
                 char **reterr_message);
/* The id outside, or -ENOENT. */
int id_map_outside(const IdMap *map, uint32_t inside, uint32_t *ret);
/* As uid_map wants it, lines of "inside outside n". */
int id_map_format(const IdMap *map, char **ret);
int id_map_copy(IdMap *ret, const IdMap *map);
