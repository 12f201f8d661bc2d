/* SPDX-License-Identifier: Apache-2.0 */
/* Storage requests → mounts, without side effects: see storage.h. The host's words, checked. */

#include <sys/mount.h>

#include "agent/confined-path.h"
#include "agent/storage.h"
#include "basic/error.h"
#include "basic/limits.h"
#include "basic/strv.h"

#define OPTIONS_MAX 64U
#define DATA_MAX 2048U

typedef struct Driver {
        const char *name;
        int (*plan)(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message);
} Driver;

static const struct {
        const char *name;
        unsigned long set, clear;
} flag_names[] = {
        { "ro", MS_RDONLY, 0 }, { "rw", 0, MS_RDONLY },
        { "nosuid", MS_NOSUID, 0 }, { "suid", 0, MS_NOSUID },
        { "nodev", MS_NODEV, 0 }, { "dev", 0, MS_NODEV },
        { "noexec", MS_NOEXEC, 0 }, { "exec", 0, MS_NOEXEC },
        { "sync", MS_SYNCHRONOUS, 0 }, { "dirsync", MS_DIRSYNC, 0 },
        { "noatime", MS_NOATIME, 0 }, { "nodiratime", MS_NODIRATIME, 0 },
        { "relatime", MS_RELATIME, 0 }, { "strictatime", MS_STRICTATIME, 0 },
        { "defaults", 0, 0 },
};

/* Options that are no mount option of a file system but a wish to the agent. */
static const char *const refused_options[] = {
        "bind", "rbind", "remount", "move", "fsgid=", "X-kata.", "io.katacontainers.",
};

static int add_option(StoragePlan *plan, Strv *data, const char *option, char **reterr_message)
{
        for (size_t i = 0; i < ELEMENTSOF(flag_names); i++)
                if (streq(option, flag_names[i].name)) {
                        plan->flags = (plan->flags | flag_names[i].set) & ~flag_names[i].clear;
                        return 0;
                }

        for (size_t i = 0; i < ELEMENTSOF(refused_options); i++)
                if (startswith(option, refused_options[i]))
                        return error_setf(reterr_message, EOPNOTSUPP, "storage for %s: option '%s' is "
                                          "not supported", plan->target, option);

        /* A comma would start another option of the file system. overlayfs paths may have one, escaped. */
        if (strchr(option, ',') || !*option)
                return error_setf(reterr_message, EINVAL, "storage for %s: invalid option '%s'",
                                  plan->target, option);

        return strv_add(data, option);
}

static int plan_options(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message)
{
        _cleanup_(strv_done) Strv data = {};
        int r;

        if (storage->n_options > OPTIONS_MAX)
                return error_setf(reterr_message, E2BIG, "storage for %s: more than %u options",
                                  plan->target, OPTIONS_MAX);

        for (size_t i = 0; i < storage->n_options; i++) {
                r = add_option(plan, &data, storage->options[i], reterr_message);
                if (r < 0)
                        return r;
        }

        plan->data = strv_join(&data, ",");
        if (!plan->data)
                return -ENOMEM;
        if (strlen(plan->data) > DATA_MAX)
                return error_setf(reterr_message, E2BIG, "storage for %s: options too long",
                                  plan->target);
        return 0;
}

static int plan_names(const char *source, const char *fstype, StoragePlan *plan)
{
        plan->source = strdup(source);
        plan->fstype = strdup(fstype);
        return plan->source && plan->fstype ? 0 : -ENOMEM;
}

static int plan_virtiofs(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message)
{
        if (!streq(storage->fstype, "virtiofs"))
                return error_setf(reterr_message, EINVAL, "storage for %s: driver virtio-fs needs file "
                                  "system type virtiofs, not '%s'", plan->target, storage->fstype);
        if (isempty(storage->source) || strlen(storage->source) > VIRTIOFS_TAG_MAX)
                return error_setf(reterr_message, EINVAL, "storage for %s: invalid virtio-fs tag",
                                  plan->target);

        return plan_names(storage->source, "virtiofs", plan);
}

static int plan_ephemeral(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message)
{
        if (!streq(storage->fstype, "tmpfs"))
                return error_setf(reterr_message, EOPNOTSUPP, "storage for %s: driver ephemeral with file "
                                  "system type '%s' is not supported", plan->target, storage->fstype);

        return plan_names(isempty(storage->source) ? "tmpfs" : storage->source, "tmpfs", plan);
}

static int plan_block(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message)
{
        const char *name = startswith(storage->source, "/dev/");

        if (!name || !*name || strchr(name, '/') || *name == '.')
                return error_setf(reterr_message, EOPNOTSUPP, "storage for %s: source '%s' is not a "
                                  "device node /dev/NAME", plan->target, storage->source);
        if (isempty(storage->fstype) || streq(storage->fstype, "bind"))
                return error_setf(reterr_message, EINVAL, "storage for %s: no file system type",
                                  plan->target);

        plan->wait_for_source = true;
        return plan_names(storage->source, storage->fstype, plan);
}

static int plan_local(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message)
{
        plan->mode = 0755;
        for (size_t i = 0; i < storage->n_options; i++) {
                const char *mode = startswith(storage->options[i], "mode=");
                char *end;

                if (!mode || *mode < '0' || *mode > '7')
                        return error_setf(reterr_message, EOPNOTSUPP, "storage for %s: option '%s' is "
                                          "not supported", plan->target, storage->options[i]);
                plan->mode = (uint32_t) strtoul(mode, &end, 8);
                if (*end || plan->mode > 07777)
                        return error_setf(reterr_message, EINVAL, "storage for %s: invalid option '%s'",
                                          plan->target, storage->options[i]);
        }

        return 0;
}

static const Driver drivers[] = {
        { "virtio-fs", plan_virtiofs },
        { "ephemeral", plan_ephemeral },
        { "local", plan_local },
        { "blk", plan_block },
        { "mmioblk", plan_block },
};

static const char *const driver_names[] = {
        "virtio-fs", "ephemeral", "local", "blk", "mmioblk", NULL,
};

const char *const *storage_drivers(void)
{
        return driver_names;
}

int storage_plan(const Grpc__Storage *storage, StoragePlan *ret, char **reterr_message)
{
        _cleanup_(storage_plan_done) StoragePlan plan = { .mode = 0755, .shared = storage->shared };
        const Driver *driver = NULL;
        int r;

        r = confined_normalize(storage->mount_point, STORAGE_ROOT, &plan.target);
        if (r == -EINVAL)
                return error_setf(reterr_message, r, "storage mount point '%s' is not a path below "
                                  STORAGE_ROOT "/", storage->mount_point);
        if (r < 0)
                return r;

        for (size_t i = 0; i < ELEMENTSOF(drivers); i++)
                if (streq(storage->driver, drivers[i].name))
                        driver = &drivers[i];
        if (!driver)
                return error_setf(reterr_message, EOPNOTSUPP, "storage for %s: driver '%s' is not "
                                  "supported", plan.target, storage->driver);
        if (storage->n_driver_options > 0)
                return error_setf(reterr_message, EOPNOTSUPP, "storage for %s: driver option '%s' is not "
                                  "supported", plan.target, storage->driver_options[0]);
        if (storage->fs_group)
                return error_setf(reterr_message, EOPNOTSUPP, "storage for %s: fs_group is not supported",
                                  plan.target);

        r = driver->plan(storage, &plan, reterr_message);
        if (r < 0)
                return r;

        if (plan.fstype) {
                r = plan_options(storage, &plan, reterr_message);
                if (r < 0)
                        return r;
        }

        *ret = plan;
        plan = (StoragePlan) {};
        return 0;
}

void storage_plan_done(StoragePlan *plan)
{
        free(plan->target);
        free(plan->source);
        free(plan->fstype);
        free(plan->data);
        *plan = (StoragePlan) {};
}
