/* SPDX-License-Identifier: Apache-2.0 */
/* Storage requests → mounts, without side effects: see storage.h. The host's words, checked. */

#include <sys/mount.h>

#include "agent/confined-path.h"
#include "agent/storage-driver.h"
#include "basic/error.h"
#include "basic/limits.h"

#define OPTIONS_MAX 64U
#define DATA_MAX 2048U

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

/* Words that are no option of a file system but a wish to whoever mounts it. */
static const char *const refused_options[] = { "bind", "rbind", "remount", "move", "rro" };
static const char *const refused_prefixes[] = { "fsgid=", "X-kata.", "io.katacontainers." };

static int not_supported(const StoragePlan *plan, const char *what, const char *option, char **reterr_message)
{
        /* Without the value, which may be a secret. */
        return error_setf(reterr_message, EOPNOTSUPP, "storage for %s: %s '%.*s' is not supported", plan->target, what,
                          (int) strcspn(option, "="), option);
}

static int add_option(StoragePlan *plan, const StorageDriver *driver, Strv *data, const char *option,
                      char **reterr_message)
{
        int r = driver->option ? driver->option(plan, option, reterr_message) : 0;

        if (r != 0)
                return r < 0 ? r : 0;

        for (size_t i = 0; i < ELEMENTSOF(flag_names); i++)
                if (streq(option, flag_names[i].name)) {
                        plan->flags = (plan->flags | flag_names[i].set) & ~flag_names[i].clear;
                        return 0;
                }
        for (size_t i = 0; i < ELEMENTSOF(refused_options); i++)
                if (streq(option, refused_options[i]))
                        return not_supported(plan, "option", option, reterr_message);
        for (size_t i = 0; i < ELEMENTSOF(refused_prefixes); i++)
                if (startswith(option, refused_prefixes[i]))
                        return not_supported(plan, "option", option, reterr_message);

        /* A comma would start another option of the file system. */
        if (strchr(option, ',') || !*option)
                return storage_invalid_option(plan, option, reterr_message);
        if (plan->kind == STORAGE_DIRECTORY || plan->kind == STORAGE_BIND || plan->kind == STORAGE_WATCH)
                return not_supported(plan, "option", option, reterr_message);
        return strv_add(data, option);
}

static int plan_options(const Grpc__Storage *storage, const StorageDriver *driver, StoragePlan *plan,
                        char **reterr_message)
{
        _cleanup_(strv_done) Strv data = {};
        int r;

        if (storage->n_options > OPTIONS_MAX || storage->n_driver_options > OPTIONS_MAX)
                return error_setf(reterr_message, E2BIG, "storage for %s: more than %u options",
                                  plan->target, OPTIONS_MAX);

        for (size_t i = 0; i < storage->n_driver_options; i++) {
                const char *option = storage->driver_options[i];

                r = driver->driver_option ? driver->driver_option(plan, option, reterr_message) : 0;
                if (r <= 0)
                        return r < 0 ? r : not_supported(plan, "driver option", option, reterr_message);
        }
        for (size_t i = 0; i < storage->n_options; i++) {
                r = add_option(plan, driver, &data, storage->options[i], reterr_message);
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

static int plan_group(const Grpc__Storage *storage, StoragePlan *plan, char **reterr_message)
{
        const Grpc__FSGroup *group = storage->fs_group;

        if (!group)
                return 0;
        if (group->group_id == UINT32_MAX || (group->group_change_policy != TYPES__FSGROUP_CHANGE_POLICY__Always &&
                                              group->group_change_policy !=
                                                      TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch))
                return error_setf(reterr_message, EINVAL, "storage for %s: invalid fs_group", plan->target);

        plan->group = (FsGroup) {
                .gid = group->group_id,
                .on_mismatch = group->group_change_policy == TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch,
        };
        /* As in Kubernetes: nothing of a read-only volume is changed. */
        plan->has_group = !(plan->flags & MS_RDONLY);
        return 0;
}

int storage_plan(const Grpc__Storage *storage, StoragePlan *ret, char **reterr_message)
{
        _cleanup_(storage_plan_done) StoragePlan plan = { .mode = 0755, .shared = storage->shared };
        const StorageDriver *driver;
        int r;

        r = confined_normalize(storage->mount_point, STORAGE_ROOT, &plan.target);
        if (r == -EINVAL)
                return error_setf(reterr_message, r, "storage mount point '%s' is not a path below "
                                  STORAGE_ROOT "/", storage->mount_point);
        if (r < 0)
                return r;

        driver = storage_driver_find(storage->driver);
        if (!driver)
                return error_setf(reterr_message, EOPNOTSUPP, "storage for %s: driver '%s' is not "
                                  "supported", plan.target, storage->driver);

        r = driver->plan(storage, &plan, reterr_message);
        if (r >= 0)
                r = plan_options(storage, driver, &plan, reterr_message);
        if (r >= 0 && driver->finish)
                r = driver->finish(&plan, reterr_message);
        if (r >= 0)
                r = plan_group(storage, &plan, reterr_message);
        if (r < 0)
                return r;

        *ret = plan;
        plan = (StoragePlan) {};
        return 0;
}

void storage_plan_done(StoragePlan *plan)
{
        free(plan->target);
        free(plan->source);
        free(plan->fstype);
        free(plan->device.node);
        free(plan->data);
        strv_done(&plan->lower);
        free(plan->upper);
        free(plan->work);
        free(plan->scratch);
        strv_done(&plan->directories);
        *plan = (StoragePlan) {};
}
