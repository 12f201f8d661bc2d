/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of the sandbox and their holders: see storage.h. The functions named worker_* run in a forked child
 * and may block; everything else only keeps the books.
 */

#include "agent/storage.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/confined-path.h"
#include "agent/guest-devices.h"
#include "agent/worker.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/strv.h"

#define MOUNT_TIMEOUT (30 * USEC_PER_SEC)
#define UNMOUNT_TIMEOUT (5 * USEC_PER_SEC)
#define DEVICE_WAIT_USEC (3 * USEC_PER_SEC)

typedef struct Entry {
        struct Entry *next;     /* newest first: the order in which to unmount */
        StoragePlan plan;
        Strv holders;
        bool pending;           /* a worker is at it */
} Entry;

typedef struct Job {
        StorageTable *table;
        Entry **entries;        /* those that the worker mounts or unmounts */
        size_t n_entries;
        char *holder;
        Strv targets;           /* all that were asked for */
        StorageDone done;
        void *userdata;
} Job;

struct StorageTable {
        Loop *loop;
        Entry *entries;
};

int storage_table_new(StorageTable **ret, Loop *loop)
{
        StorageTable *table = new0(StorageTable, 1);

        if (!table)
                return -ENOMEM;

        table->loop = loop;
        *ret = table;
        return 0;
}

static void entry_free(StorageTable *table, Entry *entry)
{
        for (Entry **at = &table->entries; *at; at = &(*at)->next)
                if (*at == entry) {
                        *at = entry->next;
                        break;
                }
        storage_plan_done(&entry->plan);
        strv_done(&entry->holders);
        free(entry);
}

StorageTable *storage_table_free(StorageTable *table)
{
        if (!table)
                return NULL;

        while (table->entries)
                entry_free(table, table->entries);
        free(table);
        return NULL;
}

static Entry *find_entry(const StorageTable *table, const char *target)
{
        for (Entry *e = table->entries; e; e = e->next)
                if (streq(e->plan.target, target))
                        return e;

        return NULL;
}

static void drop_holder(Entry *entry, const char *holder)
{
        Strv *h = &entry->holders;

        for (size_t i = 0; i < h->n; i++)
                if (streq(h->v[i], holder)) {
                        free(h->v[i]);
                        h->v[i] = h->v[h->n - 1];
                        h->v[--h->n] = NULL;
                        return;
                }
}

static Job *job_free(Job *job)
{
        if (!job)
                return NULL;

        free(job->entries);
        free(job->holder);
        strv_done(&job->targets);
        free(job);
        return NULL;
}

DEFINE_CLEANUP_FUNC(Job *, job_free)

static int worker_mount_one(const StoragePlan *plan, char **reterr_message)
{
        _cleanup_close_ int fd = -EBADF;
        char path[32];
        int r;

        fd = confined_make_dirs(AT_FDCWD, plan->target, (mode_t) plan->mode, NULL);
        if (fd < 0)
                return error_setf(reterr_message, fd, "mount point %s: %s", plan->target, strerror(-fd));
        if (!plan->fstype)
                return 0;

        if (plan->wait_for_source) {
                r = device_node_wait(plan->source, S_IFBLK, DEVICE_WAIT_USEC);
                if (r < 0)
                        return error_setf(reterr_message, r, "%s for %s: %s", plan->source, plan->target,
                                          strerror(-r));
        }

        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (mount(plan->source, path, plan->fstype, plan->flags, plan->data) < 0)
                return error_setf(reterr_message, errno, "mounting %s '%s' on %s: %s", plan->fstype,
                                  plan->source, plan->target, strerror(errno));
        return 0;
}

static int worker_unmount_one(const StoragePlan *plan)
{
        if (!plan->fstype)
                return rm_rf(plan->target);

        return umount2(plan->target, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? negative_errno() : 0;
}

static int worker_mount(void *userdata, char **reterr_message)
{
        const Job *job = userdata;

        for (size_t i = 0; i < job->n_entries; i++) {
                int r = worker_mount_one(&job->entries[i]->plan, reterr_message);

                if (r < 0) {
                        while (i > 0)
                                (void) worker_unmount_one(&job->entries[--i]->plan);
                        return r;
                }
        }

        return 0;
}

static int worker_unmount(void *userdata, char **reterr_message)
{
        const Job *job = userdata;
        int r = 0;

        for (size_t i = 0; i < job->n_entries; i++) {
                int q = worker_unmount_one(&job->entries[i]->plan);

                if (q < 0 && q != -ENOENT && q != -EINVAL)
                        r = error_setf(reterr_message, q, "unmounting %s: %s",
                                       job->entries[i]->plan.target, strerror(-q));
        }

        return r;
}

static void on_mounted(int error, const char *message, void *userdata)
{
        _cleanup_(job_freep) Job *job = userdata;
        StorageTable *table = job->table;
        char *target;

        for (size_t i = 0; i < job->n_entries; i++)
                job->entries[i]->pending = false;

        if (error < 0) {
                STRV_FOREACH(target, &job->targets) {
                        Entry *e = find_entry(table, target);

                        if (e)
                                drop_holder(e, job->holder);
                }
                for (size_t i = 0; i < job->n_entries; i++)
                        entry_free(table, job->entries[i]);
        }

        job->done(error, message, job->userdata);
}

static void on_unmounted(int error, const char *message, void *userdata)
{
        _cleanup_(job_freep) Job *job = userdata;

        if (error < 0)
                log_warning("%s", error_text(message, error));
        for (size_t i = 0; i < job->n_entries; i++)
                entry_free(job->table, job->entries[i]);
        if (job->done)
                job->done(error, message, job->userdata);
}

int storage_table_lookup(const StorageTable *table, const char *target, const StoragePlan **ret)
{
        const Entry *entry = find_entry(table, target);

        if (!entry)
                return -ENOENT;
        if (entry->pending)
                return -EBUSY;
        *ret = &entry->plan;
        return 0;
}

bool storage_table_holds(const StorageTable *table, const char *holder)
{
        for (const Entry *e = table->entries; e; e = e->next)
                if (strv_contains(&e->holders, holder))
                        return true;

        return false;
}

/* Even a job without work answers from the loop: a worker that does nothing. */
static int job_start(Job *job, WorkerFunc func, usec_t timeout, WorkerDone done)
{
        for (size_t i = 0; i < job->n_entries; i++)
                job->entries[i]->pending = true;

        return worker_start(NULL, job->table->loop, func, job, timeout, done, job);
}

static int job_new(Job **ret, StorageTable *table, const char *holder, size_t n, StorageDone done,
                   void *userdata)
{
        _cleanup_(job_freep) Job *job = new0(Job, 1);

        if (!job)
                return -ENOMEM;

        *job = (Job) {
                .table = table, .entries = new0(Entry *, n), .holder = strdup(holder), .done = done,
                .userdata = userdata,
        };
        if (!job->entries || !job->holder)
                return -ENOMEM;

        *ret = TAKE_PTR(job);
        return 0;
}

static int add_storage(Job *job, const Grpc__Storage *storage, char **reterr_message)
{
        _cleanup_(storage_plan_done) StoragePlan plan = {};
        StorageTable *table = job->table;
        const char *holder = job->holder;
        Entry *entry;
        int r;

        r = storage_plan(storage, &plan, reterr_message);
        if (r < 0)
                return r;
        if (plan.shared)
                holder = "";

        entry = find_entry(table, plan.target);
        if (entry && entry->pending)
                return error_setf(reterr_message, EBUSY, "%s is being mounted or unmounted by another "
                                  "request", plan.target);
        if (!entry) {
                entry = new0(Entry, 1);
                if (!entry)
                        return -ENOMEM;
                entry->plan = plan;
                entry->next = table->entries;
                table->entries = entry;
                plan = (StoragePlan) {};
                job->entries[job->n_entries++] = entry;
        }

        r = strv_add(&entry->holders, holder);
        if (r >= 0)
                r = strv_add(&job->targets, entry->plan.target);
        return r;
}

static void job_undo(Job *job)
{
        char *target;

        STRV_FOREACH(target, &job->targets) {
                Entry *e = find_entry(job->table, target);

                if (e)
                        drop_holder(e, job->holder);
        }
        for (size_t i = 0; i < job->n_entries; i++)
                entry_free(job->table, job->entries[i]);
        job->n_entries = 0;
}

int storage_table_mount(StorageTable *table, Grpc__Storage *const *storages, size_t n, const char *holder,
                        StorageDone done, void *userdata, char **reterr_message)
{
        _cleanup_(job_freep) Job *job = NULL;
        int r;

        if (n > STORAGES_MAX)
                return error_setf(reterr_message, E2BIG, "more than %u storages", STORAGES_MAX);

        r = job_new(&job, table, holder, n, done, userdata);
        if (r < 0)
                return r;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = add_storage(job, storages[i], reterr_message);
        if (r >= 0)
                r = job_start(job, worker_mount, MOUNT_TIMEOUT, on_mounted);
        if (r < 0) {
                job_undo(job);
                return r;
        }

        TAKE_PTR(job);
        return 0;
}

int storage_table_release(StorageTable *table, const char *holder, StorageDone done, void *userdata)
{
        _cleanup_(job_freep) Job *job = NULL;
        size_t n = 0;
        int r;

        for (Entry *e = table->entries; e; e = e->next)
                n++;
        r = job_new(&job, table, strempty(holder), n, done, userdata);
        if (r < 0)
                return r;

        for (Entry *e = table->entries; e; e = e->next) {
                if (e->pending)
                        continue;
                if (holder) {
                        if (!strv_contains(&e->holders, holder))
                                continue;
                        drop_holder(e, holder);
                        if (e->holders.n > 0)
                                continue;
                }
                job->entries[job->n_entries++] = e;
        }

        r = job_start(job, worker_unmount, UNMOUNT_TIMEOUT, on_unmounted);
        if (r < 0) {
                for (size_t i = 0; i < job->n_entries; i++)
                        job->entries[i]->pending = false;
                return r;
        }

        TAKE_PTR(job);
        return 0;
}
