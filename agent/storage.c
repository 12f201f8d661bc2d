/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts of the sandbox and their holders: see storage.h. The functions named worker_* run in a forked child
 * and may block; everything else only keeps the books.
 */

#include "agent/storage.h"

#include <inttypes.h>

#include "agent/storage-mount.h"
#include "agent/worker.h"
#include "basic/error.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "basic/strv.h"

#define MOUNT_TIMEOUT (30 * USEC_PER_SEC)
#define UNMOUNT_TIMEOUT (5 * USEC_PER_SEC)
/* As often as Kata's agent looks. */
#define FOLLOW_USEC (2 * USEC_PER_SEC)
#define FOLLOW_TIMEOUT (30 * USEC_PER_SEC)
/* Left for taking back what was mounted. */
#define MOUNT_MARGIN (5 * USEC_PER_SEC)

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
        uint64_t n_scratch;     /* names that were given: each once */
        LoopSource *follow_timer;       /* NULL: nothing has to be followed */
        Worker *follower;
        int follow_error;
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
        worker_cancel(table->follower);
        loop_source_free(table->follow_timer);
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

static int worker_mount(void *userdata, char **reterr_message)
{
        usec_t end = now_usec() + MOUNT_TIMEOUT - MOUNT_MARGIN;
        const Job *job = userdata;

        for (size_t i = 0; i < job->n_entries; i++) {
                int r = storage_mount(&job->entries[i]->plan, end, reterr_message);

                if (r < 0) {
                        while (i > 0)
                                (void) storage_unmount(&job->entries[--i]->plan);
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
                int q = storage_unmount(&job->entries[i]->plan);

                if (q < 0 && q != -ENOENT && q != -EINVAL)
                        r = error_setf(reterr_message, q, "unmounting %s: %s",
                                       job->entries[i]->plan.target, strerror(-q));
        }

        return r;
}

/* --- copies that follow --- */

/* All that are to be followed: the worker's copy of the table. */
static int worker_follow(void *userdata, char **reterr_message)
{
        const StorageTable *table = userdata;
        int r = 0;

        for (const Entry *e = table->entries; e; e = e->next) {
                int q = e->plan.kind == STORAGE_WATCH && !e->pending ? storage_follow(&e->plan, reterr_message) : 0;

                r = q < 0 ? q : r;
        }
        return r;
}

static bool follows_something(const StorageTable *table)
{
        for (const Entry *e = table->entries; e; e = e->next)
                if (e->plan.kind == STORAGE_WATCH)
                        return true;

        return false;
}

static void on_followed(int error, const char *message, void *userdata)
{
        StorageTable *table = userdata;

        table->follower = NULL;
        /* Once for each reason, not every two seconds. */
        if (error < 0 && error != table->follow_error)
                log_warning("%s", error_text(message, error));
        table->follow_error = error;
        (void) loop_source_set_time(table->follow_timer, now_usec() + FOLLOW_USEC);
}

static void on_follow_time(LoopSource *source, void *userdata)
{
        StorageTable *table = userdata;

        if (!follows_something(table)) {
                table->follow_timer = loop_source_free(table->follow_timer);
                return;
        }
        if (worker_start(&table->follower, table->loop, worker_follow, table, FOLLOW_TIMEOUT, on_followed, table) < 0)
                (void) loop_source_set_time(source, now_usec() + FOLLOW_USEC);
}

static void start_following(StorageTable *table)
{
        if (!table->follow_timer && follows_something(table) &&
            loop_add_time(table->loop, &table->follow_timer, now_usec() + FOLLOW_USEC, on_follow_time, table) < 0)
                log_oom();
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

        start_following(table);
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

static int name_scratch(StorageTable *table, StoragePlan *plan)
{
        if (!plan->wants_scratch)
                return 0;

        if (asprintf(&plan->scratch, STORAGE_ROOT "/sandbox/overlay-%" PRIu64, ++table->n_scratch) < 0)
                plan->scratch = NULL;
        else if (asprintf(&plan->upper, "%s/upper", plan->scratch) < 0)
                plan->upper = NULL;
        else if (asprintf(&plan->work, "%s/work", plan->scratch) < 0)
                plan->work = NULL;
        return plan->work ? 0 : -ENOMEM;
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
                r = name_scratch(table, &plan);
                if (r < 0)
                        return r;
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
