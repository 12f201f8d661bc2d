/* SPDX-License-Identifier: Apache-2.0 */
/* Remounts of memory file systems: see storage-remount.h. */

#include "agent/storage-remount.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include "agent/confined-path.h"
#include "basic/error.h"
#include "basic/limits.h"

static int plan_one(const StorageTable *table, const Grpc__Storage *storage, StoragePlan *ret,
                    char **reterr_message)
{
        _cleanup_(storage_plan_done) StoragePlan plan = {};
        _cleanup_free_ char **options = new0(char *, storage->n_options);
        Grpc__Storage copy = *storage;
        const StoragePlan *mounted;
        int r;

        if (!options)
                return -ENOMEM;
        if (!streq(storage->driver, "ephemeral"))
                return error_setf(reterr_message, EOPNOTSUPP, "storage for %s: driver '%s' can not be "
                                  "updated, only ephemeral", storage->mount_point, storage->driver);
        /* Hosts say what the method says already. */
        copy.options = options;
        copy.n_options = 0;
        for (size_t i = 0; i < storage->n_options; i++)
                if (!streq(storage->options[i], "remount"))
                        options[copy.n_options++] = storage->options[i];

        r = storage_plan(&copy, &plan, reterr_message);
        if (r < 0)
                return r;
        r = storage_table_lookup(table, plan.target, &mounted);
        if (r == -EBUSY)
                return error_setf(reterr_message, r, "%s is being mounted or unmounted", plan.target);
        if (r < 0)
                return error_setf(reterr_message, r, "nothing is mounted on %s", plan.target);
        if (!mounted->fstype || !streq(mounted->fstype, "tmpfs"))
                return error_setf(reterr_message, EINVAL, "%s is no memory file system", plan.target);

        if (plan.has_group)
                return error_setf(reterr_message, EOPNOTSUPP, "%s: fs_group of a mount can not be updated",
                                  plan.target);
        plan.flags |= mounted->flags;
        *ret = plan;
        plan = (StoragePlan) {};
        return 0;
}

int remount_plan(const StorageTable *table, Grpc__Storage *const *storages, size_t n, RemountPlan *ret,
                 char **reterr_message)
{
        _cleanup_(remount_plan_done) RemountPlan plan = {};
        int r;

        if (n > STORAGES_MAX)
                return error_setf(reterr_message, E2BIG, "more than %u storages", STORAGES_MAX);
        plan.plans = new0(StoragePlan, n);
        if (!plan.plans)
                return -ENOMEM;
        for (; plan.n < n; plan.n++) {
                r = plan_one(table, storages[plan.n], &plan.plans[plan.n], reterr_message);
                if (r < 0)
                        return r;
        }

        *ret = plan;
        plan = (RemountPlan) {};
        return 0;
}

void remount_plan_done(RemountPlan *plan)
{
        for (size_t i = 0; i < plan->n; i++)
                storage_plan_done(&plan->plans[i]);
        free(plan->plans);
        *plan = (RemountPlan) {};
}

static int remount_one(const StoragePlan *plan)
{
        _cleanup_close_ int fd = confined_open(plan->target, O_PATH | O_DIRECTORY);
        char path[32];
        struct statfs st;

        if (fd < 0)
                return fd;
        if (fstatfs(fd, &st) < 0)
                return negative_errno();
        if (st.f_type != TMPFS_MAGIC)
                return -EINVAL;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (mount(NULL, path, NULL, MS_REMOUNT | plan->flags, plan->data) < 0)
                return negative_errno();
        return plan->has_fsgid ? fs_group_set_directory(fd, plan->fsgid) : 0;
}

int remount_apply(const RemountPlan *plan, char **reterr_message)
{
        for (size_t i = 0; i < plan->n; i++) {
                int r = remount_one(&plan->plans[i]);

                /* The kernel says no more than that when less is asked for than is in use. */
                if (r < 0)
                        return error_setf(reterr_message, r, "remounting %s with '%s': %s%s",
                                          plan->plans[i].target, plan->plans[i].data, strerror(-r),
                                          r == -EINVAL ? " (is more in use than the new size?)" : "");
        }

        return 0;
}
