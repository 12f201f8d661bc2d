/* SPDX-License-Identifier: Apache-2.0 */
/* Drivers of storages: see storage-driver.h. The host's words, checked; docs/PROTOCOL.md has the table. */

#include "agent/storage-driver.h"

#include <inttypes.h>
#include <sys/mount.h>

#include "agent/confined-path.h"
#include "basic/error.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define HUGE_SIZE_MAX (UINT64_C(1) << 40)
#define OVERLAY_RW "io.katacontainers.fs-opt.overlay-rw"
#define CREATE_DIRECTORY "io.katacontainers.volume.overlayfs.create_directory="

int storage_invalid_option(const StoragePlan *plan, const char *option, char **reterr_message)
{
        return error_setf(reterr_message, EINVAL, "storage for %s: invalid option '%s'", plan->target, option);
}

static int plan_names(const char *source, const char *fstype, StoragePlan *plan)
{
        plan->source = source ? strdup(source) : NULL;
        plan->fstype = strdup(fstype);
        return (plan->source || !source) && plan->fstype ? 0 : -ENOMEM;
}

/* 1 if it is that option. */
static int option_fsgid(StoragePlan *plan, const char *option, char **reterr_message)
{
        const char *value = startswith(option, "fsgid=");
        uint32_t gid;

        if (!value)
                return 0;
        if (parse_u32(value, &gid) < 0 || gid == UINT32_MAX)
                return storage_invalid_option(plan, option, reterr_message);
        plan->has_fsgid = true;
        plan->fsgid = gid;
        return 1;
}

/* --- shared directories --- */

static int option_bind(StoragePlan *plan, const char *option, char **reterr_message)
{
        bool recursive = streq(option, "rbind");

        if ((plan->kind != STORAGE_BIND && plan->kind != STORAGE_WATCH) || (!recursive && !streq(option, "bind")))
                return 0;
        if (recursive)
                plan->flags |= MS_REC;
        return 1;
}

static int plan_bind(const Grpc__Storage *storage, StorageKind kind, StoragePlan *plan, char **reterr_message)
{
        int r;

        plan->kind = kind;
        plan->fstype = strdup("bind");
        r = plan->fstype ? confined_normalize(storage->source, STORAGE_ROOT, &plan->source) : -ENOMEM;
        if (r == -EINVAL)
                return error_setf(reterr_message, r, "storage for %s: source '%s' of a bind mount is not a path below "
                                  STORAGE_ROOT "/", plan->target, storage->source);
        return r;
}

static int plan_watchable(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message)
{
        if (!isempty(storage->fstype) && !streq(storage->fstype, "bind"))
                return error_setf(reterr_message, EINVAL, "storage for %s: driver watchable-bind needs file system "
                                  "type bind, not '%s'", plan->target, storage->fstype);
        return plan_bind(storage, STORAGE_WATCH, plan, reterr_message);
}

static int plan_virtiofs(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message)
{
        if (streq(storage->fstype, "bind"))
                return plan_bind(storage, STORAGE_BIND, plan, reterr_message);
        if (!streq(storage->fstype, "virtiofs"))
                return error_setf(reterr_message, EINVAL, "storage for %s: driver virtio-fs needs file "
                                  "system type virtiofs or bind, not '%s'", plan->target, storage->fstype);
        if (isempty(storage->source) || strlen(storage->source) > VIRTIOFS_TAG_MAX)
                return error_setf(reterr_message, EINVAL, "storage for %s: invalid virtio-fs tag",
                                  plan->target);

        return plan_names(storage->source, "virtiofs", plan);
}

/* --- memory --- */

static bool is_huge(const StoragePlan *plan)
{
        return plan->fstype && streq(plan->fstype, "hugetlbfs");
}

/* Bytes, or with a suffix as Kubernetes writes them: 2Mi. */
static int parse_huge_size(const char *value, uint64_t *ret)
{
        _cleanup_free_ char *copy = strdup(value);
        size_t n = strlen(value);

        if (!copy)
                return -ENOMEM;
        if (n > 2 && copy[n - 1] == 'i')
                copy[n - 1] = '\0';
        return parse_size(copy, ret) < 0 || *ret == 0 || *ret > HUGE_SIZE_MAX ? -EINVAL : 0;
}

/* Hosts write both into one option. n_pages is bytes until finish_ephemeral(). */
static int option_huge(StoragePlan *plan, const char *option, char **reterr_message)
{
        _cleanup_free_ char *copy = strdup(option);
        char *rest = copy, *word;
        bool own = false;

        if (!copy)
                return -ENOMEM;
        if (!startswith(option, "pagesize=") && !startswith(option, "size="))
                return 0;
        while ((word = strsep(&rest, ","))) {
                const char *value = startswith(word, "pagesize=");
                uint64_t *field = value ? &plan->page_size : &plan->n_pages;

                if (!value)
                        value = startswith(word, "size=");
                if (!value || parse_huge_size(value, field) < 0)
                        return storage_invalid_option(plan, option, reterr_message);
                own = true;
        }
        return own;
}

static int option_ephemeral(StoragePlan *plan, const char *option, char **reterr_message)
{
        return is_huge(plan) && !startswith(option, "fsgid=") ? option_huge(plan, option, reterr_message) :
                                                                option_fsgid(plan, option, reterr_message);
}

static int plan_ephemeral(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message)
{
        if (!streq(storage->fstype, "tmpfs") && !streq(storage->fstype, "hugetlbfs"))
                return error_setf(reterr_message, EOPNOTSUPP, "storage for %s: driver ephemeral with file "
                                  "system type '%s' is not supported", plan->target, storage->fstype);

        return plan_names(isempty(storage->source) ? storage->fstype : storage->source, storage->fstype, plan);
}

static int finish_ephemeral(StoragePlan *plan, char **reterr_message)
{
        uint64_t size = plan->n_pages;
        char *data;

        if (!is_huge(plan))
                return 0;
        if (plan->page_size == 0 || (plan->page_size & (plan->page_size - 1)) != 0 || size < plan->page_size)
                return error_setf(reterr_message, EINVAL, "storage for %s: hugetlbfs needs pagesize=, a power of two, "
                                  "and size= of at least one page", plan->target);

        plan->n_pages = size / plan->page_size;
        if (asprintf(&data, "%s%spagesize=%" PRIu64 ",size=%" PRIu64, plan->data, *plan->data ? "," : "",
                     plan->page_size, plan->n_pages * plan->page_size) < 0)
                return -ENOMEM;
        free(plan->data);
        plan->data = data;
        return 0;
}

/* --- devices --- */

static int plan_block(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message)
{
        int r = guest_device_parse(storage->driver, storage->source, &plan->device);

        if (r == -EINVAL || r == -EOPNOTSUPP)
                return error_setf(reterr_message, r, "storage for %s: source '%s' is neither a device node /dev/NAME "
                                  "nor a place that driver %s knows", plan->target, storage->source, storage->driver);
        if (r < 0)
                return r;
        if (isempty(storage->fstype) || streq(storage->fstype, "bind"))
                return error_setf(reterr_message, EINVAL, "storage for %s: no file system type",
                                  plan->target);

        return plan_names(NULL, storage->fstype, plan);
}

/* --- directories of the guest --- */

static int option_local(StoragePlan *plan, const char *option, char **reterr_message)
{
        const char *mode = startswith(option, "mode=");
        char *end;

        if (!mode)
                return option_fsgid(plan, option, reterr_message);
        if (*mode < '0' || *mode > '7')
                return storage_invalid_option(plan, option, reterr_message);
        plan->mode = (uint32_t) strtoul(mode, &end, 8);
        return *end || plan->mode > 07777 ? storage_invalid_option(plan, option, reterr_message) : 1;
}

static int plan_local(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message)
{
        plan->kind = STORAGE_DIRECTORY;
        return 0;
}

static int finish_local(StoragePlan *plan, char **reterr_message)
{
        /* Flags of a mount would have no effect. */
        return plan->flags != 0 ? error_setf(reterr_message, EOPNOTSUPP, "storage for %s: driver local mounts nothing "
                                             "that could be read-only or the like", plan->target) : 0;
}

/* --- overlays --- */

/* below NULL: anywhere. */
static int add_path(const StoragePlan *plan, const char *path, const char *below, Strv *paths, char **reterr_message)
{
        char *normal;
        int r = strpbrk(path, "\\,:") ? -EINVAL : confined_normalize(path, below, &normal);

        if (r == -EINVAL)
                return error_setf(reterr_message, r, "storage for %s: '%s' is not the path of a layer%s%s",
                                  plan->target, path, below ? " below " : "", strempty(below));
        return r < 0 ? r : strv_consume(paths, normal);
}

static int set_path(const StoragePlan *plan, const char *path, char **field, char **reterr_message)
{
        _cleanup_(strv_done) Strv paths = {};
        int r = add_path(plan, path, STORAGE_ROOT, &paths, reterr_message);

        if (r < 0)
                return r;
        free(*field);
        *field = TAKE_PTR(paths.v[0]);
        return 1;
}

static int set_lower(StoragePlan *plan, const char *value, char **reterr_message)
{
        _cleanup_free_ char *copy = strdup(value);
        char *rest = copy, *path;
        int r;

        if (!copy)
                return -ENOMEM;
        while ((path = strsep(&rest, ":"))) {
                if (plan->lower.n >= OVERLAY_LAYERS_MAX)
                        return error_setf(reterr_message, E2BIG, "storage for %s: more than %u layers", plan->target,
                                          OVERLAY_LAYERS_MAX);
                r = add_path(plan, path, NULL, &plan->lower, reterr_message);
                if (r < 0)
                        return r;
        }
        return 1;
}

static int option_overlay(StoragePlan *plan, const char *option, char **reterr_message)
{
        const char *value;

        if (streq(option, OVERLAY_RW))
                return plan->wants_scratch = true, 1;
        if ((value = startswith(option, "lowerdir=")))
                return set_lower(plan, value, reterr_message);
        if ((value = startswith(option, "upperdir=")))
                return set_path(plan, value, &plan->upper, reterr_message);
        if ((value = startswith(option, "workdir=")))
                return set_path(plan, value, &plan->work, reterr_message);
        return 0;
}

static int driver_option_overlay(StoragePlan *plan, const char *option, char **reterr_message)
{
        const char *value = startswith(option, CREATE_DIRECTORY);
        int r;

        if (!value)
                return 0;
        r = add_path(plan, value, STORAGE_ROOT, &plan->directories, reterr_message);
        return r < 0 ? r : 1;
}

static int plan_overlay(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message)
{
        if (!isempty(storage->fstype) && !streq(storage->fstype, "overlay"))
                return error_setf(reterr_message, EINVAL, "storage for %s: driver overlayfs needs file system type "
                                  "overlay, not '%s'", plan->target, storage->fstype);
        plan->kind = STORAGE_OVERLAY;
        return plan_names("overlay", "overlay", plan);
}

static int finish_overlay(StoragePlan *plan, char **reterr_message)
{
        if (plan->lower.n == 0)
                return error_setf(reterr_message, EINVAL, "storage for %s: an overlay needs lowerdir=", plan->target);
        if (!plan->upper != !plan->work || (plan->wants_scratch && plan->upper))
                return error_setf(reterr_message, EINVAL, "storage for %s: an overlay has upperdir= and workdir= or "
                                  OVERLAY_RW " or neither", plan->target);
        return 0;
}

static const StorageDriver drivers[] = {
        { "virtio-fs", plan_virtiofs, option_bind, NULL, NULL },
        { "ephemeral", plan_ephemeral, option_ephemeral, option_fsgid, finish_ephemeral },
        { "local", plan_local, option_local, option_fsgid, finish_local },
        { "blk", plan_block, NULL, NULL, NULL },
        { "mmioblk", plan_block, NULL, NULL, NULL },
        { "scsi", plan_block, NULL, NULL, NULL },
        { "nvdimm", plan_block, NULL, NULL, NULL },
        { "watchable-bind", plan_watchable, option_bind, NULL, NULL },
        { "overlayfs", plan_overlay, option_overlay, driver_option_overlay, finish_overlay },
};

static const char *const driver_names[] = {
        "virtio-fs", "ephemeral", "local", "blk", "mmioblk", "scsi", "nvdimm", "watchable-bind", "overlayfs", NULL,
};

const char *const *storage_drivers(void)
{
        return driver_names;
}

const StorageDriver *storage_driver_find(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(drivers); i++)
                if (streq(drivers[i].name, name))
                        return &drivers[i];

        return NULL;
}
