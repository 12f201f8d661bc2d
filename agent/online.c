/* SPDX-License-Identifier: Apache-2.0 */
/* Processors and memory that were plugged in: see online.h. */

#include "agent/online.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/worker.h"
#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"

typedef struct OnlineOp {
        struct OnlineOp *next;
        Online *online;
        Request *request;       /* NULL: nobody waits any more */
        uint32_t n_cpus;
        bool cpu_only;
        unsigned tries;
        CpuMask before;         /* online when the request came */
        CpuMask todo;           /* for the worker */
        char *message;          /* the last failure */
} OnlineOp;

struct Online {
        Loop *loop;
        char *sysfs;
        OnlineOp *ops;          /* the first one is being worked on */
        Worker *worker;
        LoopSource *timer;
};

int cpu_mask_parse(CpuMask *ret, const char *text)
{
        CpuMask mask = {};

        for (const char *p = text; *p && *p != '\n';) {
                unsigned long first, last;
                char *end;

                if (*p < '0' || *p > '9')
                        return -EINVAL;
                errno = 0;
                first = last = strtoul(p, &end, 10);
                if (*end == '-') {
                        p = end + 1;
                        if (*p < '0' || *p > '9')
                                return -EINVAL;
                        last = strtoul(p, &end, 10);
                }
                if (errno != 0 || first >= CPUS_MAX || last >= CPUS_MAX)
                        return -ERANGE;
                if (last < first || (*end && *end != ',' && *end != '\n') || (*end == ',' && !end[1]))
                        return -EINVAL;

                for (unsigned long cpu = first; cpu <= last; cpu++)
                        cpu_mask_set(&mask, (unsigned) cpu, true);
                p = *end == ',' ? end + 1 : end;
        }

        *ret = mask;
        return 0;
}

bool cpu_mask_has(const CpuMask *mask, unsigned cpu)
{
        return cpu < CPUS_MAX && mask->bits[cpu / 8] & 1U << cpu % 8;
}

void cpu_mask_set(CpuMask *mask, unsigned cpu, bool value)
{
        if (cpu >= CPUS_MAX)
                return;
        if (value)
                mask->bits[cpu / 8] |= (uint8_t) (1U << cpu % 8);
        else
                mask->bits[cpu / 8] &= (uint8_t) ~(1U << cpu % 8);
}

unsigned cpu_mask_subtract(CpuMask *ret, const CpuMask *a, const CpuMask *b)
{
        unsigned n = 0;

        for (size_t i = 0; i < sizeof(a->bits); i++) {
                uint8_t rest = a->bits[i] & (uint8_t) ~b->bits[i];

                n += (unsigned) __builtin_popcount(rest);
                if (ret)
                        ret->bits[i] = rest;
        }

        return n;
}

static int read_mask(const Online *online, const char *name, CpuMask *ret)
{
        _cleanup_free_ char *text = NULL, *path = NULL;
        int r;

        if (asprintf(&path, "%s/cpu/%s", online->sysfs, name) < 0)
                return -ENOMEM;
        r = read_file_at(AT_FDCWD, path, KIB(32), &text, NULL);
        return r < 0 ? r : cpu_mask_parse(ret, text);
}

/* The rest runs in workers. */

static int switch_cpus_on(void *userdata, char **reterr_message)
{
        const OnlineOp *op = userdata;
        int r = 0;

        for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
                char path[512];
                int k;

                if (!cpu_mask_has(&op->todo, cpu))
                        continue;
                snprintf(path, sizeof(path), "%s/cpu/cpu%u/online", op->online->sysfs, cpu);
                k = write_string_file_at(AT_FDCWD, path, "1");
                if (k < 0)
                        /* The others may work. */
                        r = error_setf(reterr_message, k, "processor %u: %s", cpu, strerror(-k));
        }

        return r;
}

static int switch_block_on(int dir_fd, const char *name, char **reterr_message)
{
        _cleanup_free_ char *text = NULL;
        char path[300];
        int r;

        snprintf(path, sizeof(path), "%.250s/state", name);
        r = read_file_at(dir_fd, path, 64, &text, NULL);
        if (r >= 0 && startswith(text, "offline"))
                r = write_string_file_at(dir_fd, path, "online");
        if (r < 0 && r != -ENOENT)
                return error_setf(reterr_message, r, "memory block '%s': %s", name, strerror(-r));

        return 0;
}

static int switch_memory_on(void *userdata, char **reterr_message)
{
        const OnlineOp *op = userdata;
        struct dirent *de;
        char path[512];
        int r = 0;
        DIR *d;

        snprintf(path, sizeof(path), "%s/memory", op->online->sysfs);
        d = opendir(path);
        if (!d)
                /* A kernel without hot-plugging of memory has all it will ever have. */
                return errno == ENOENT ? 0 : negative_errno();

        while ((de = readdir(d))) {
                const char *number = startswith(de->d_name, "memory");
                int k;

                if (!number || !*number || number[strspn(number, "0123456789")])
                        continue;
                k = switch_block_on(dirfd(d), de->d_name, reterr_message);
                if (k < 0)
                        r = k;
        }

        closedir(d);
        return r;
}

/* The loop's side. */

static void try_cpus(OnlineOp *op);
static void begin(Online *online);

static void finish(OnlineOp *op, int error, const char *message)
{
        Online *online = op->online;
        Request *request = TAKE_PTR(op->request);

        if (error < 0)
                log_error("Bringing processors and memory online: %s", error_text(message, error));
        if (request && error < 0)
                request_fail_errno(request, error, message);
        else if (request)
                request_reply(request, NULL);

        online->ops = op->next;
        free(op->message);
        free(op);
        begin(online);
}

static void on_memory_done(int error, const char *message, void *userdata)
{
        OnlineOp *op = userdata;

        op->online->worker = NULL;
        finish(op, error, message);
}

static void do_memory(OnlineOp *op)
{
        int r;

        if (op->cpu_only || !op->request)
                return finish(op, 0, NULL);

        r = worker_start(&op->online->worker, op->online->loop, switch_memory_on, op, ONLINE_WORKER_USEC,
                         on_memory_done, op);
        if (r < 0)
                finish(op, r, NULL);
}

static void on_timer(LoopSource *source, void *userdata)
{
        Online *online = userdata;

        if (online->ops && !online->worker)
                try_cpus(online->ops);
}

/* How many have come online since the request, and which are there to be switched on; negative errno. */
static int look(OnlineOp *op, CpuMask *ret_offline, unsigned *ret_n_offline)
{
        CpuMask present, now;
        int r;

        r = read_mask(op->online, "present", &present);
        if (r >= 0)
                r = read_mask(op->online, "online", &now);
        if (r < 0)
                return r;

        *ret_n_offline = cpu_mask_subtract(ret_offline, &present, &now);
        return (int) cpu_mask_subtract(NULL, &now, &op->before);
}

static void again_later(OnlineOp *op, unsigned done)
{
        char text[256];

        if (op->tries < ONLINE_RETRIES) {
                (void) loop_source_set_time(op->online->timer, now_usec() + ONLINE_RETRY_USEC);
                return;
        }

        snprintf(text, sizeof(text), "%u of %u processors came online within %u s%s%.150s", done, op->n_cpus,
                 (unsigned) (ONLINE_RETRIES * ONLINE_RETRY_USEC / USEC_PER_SEC), op->message ? "; " : "",
                 op->message ? op->message : "");
        finish(op, -ETIMEDOUT, text);
}

static void on_cpus_done(int error, const char *message, void *userdata)
{
        OnlineOp *op = userdata;
        unsigned n_offline;
        CpuMask offline;
        int done;

        op->online->worker = NULL;
        if (error < 0) {
                free(op->message);
                op->message = strdup(error_text(message, error));
        }

        done = look(op, &offline, &n_offline);
        if (done < 0)
                return finish(op, done, NULL);
        if ((unsigned) done >= op->n_cpus)
                return do_memory(op);
        again_later(op, (unsigned) done);
}

static void try_cpus(OnlineOp *op)
{
        unsigned n_offline, wanted;
        int done, r;

        if (!op->request)
                return finish(op, -ECANCELED, "nobody waits for it any more");

        op->tries++;
        done = look(op, &op->todo, &n_offline);
        if (done < 0)
                return finish(op, done, NULL);
        if ((unsigned) done >= op->n_cpus)
                return do_memory(op);
        if (n_offline == 0)
                return again_later(op, (unsigned) done);

        /* Not more than the host expects: the others may be off on purpose. */
        wanted = op->n_cpus - (unsigned) done;
        for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
                if (cpu_mask_has(&op->todo, cpu)) {
                        if (wanted > 0)
                                wanted--;
                        else
                                cpu_mask_set(&op->todo, cpu, false);
                }

        r = worker_start(&op->online->worker, op->online->loop, switch_cpus_on, op, ONLINE_WORKER_USEC,
                         on_cpus_done, op);
        if (r < 0)
                finish(op, r, NULL);
}

static void begin(Online *online)
{
        OnlineOp *op = online->ops;
        int r;

        if (!op || online->worker)
                return;
        if (op->n_cpus == 0)
                return do_memory(op);

        r = read_mask(online, "online", &op->before);
        if (r < 0)
                return finish(op, r, "the list of processors cannot be read");
        try_cpus(op);
}

static void on_cancelled(Request *request, void *userdata)
{
        OnlineOp *op = userdata;

        /* Noticed at the next step. */
        op->request = NULL;
}

void online_request(Online *online, Request *request, uint32_t n_cpus, bool cpu_only)
{
        OnlineOp *op, **at = &online->ops;

        if (n_cpus > CPUS_MAX)
                return request_fail(request, TTRPC_INVALID_ARGUMENT, "%u processors are more than %u",
                                    n_cpus, CPUS_MAX);

        op = new0(OnlineOp, 1);
        if (!op)
                return request_fail_errno(request, -ENOMEM, NULL);
        *op = (OnlineOp) { .online = online, .request = request, .n_cpus = n_cpus, .cpu_only = cpu_only };
        request_on_cancel(request, on_cancelled, op);

        while (*at)
                at = &(*at)->next;
        *at = op;
        if (online->ops == op)
                begin(online);
}

int online_new(Online **ret, Loop *loop, const char *sysfs)
{
        _cleanup_(online_freep) Online *online = new0(Online, 1);
        int r;

        if (!online)
                return -ENOMEM;

        online->loop = loop;
        online->sysfs = strdup(sysfs);
        if (!online->sysfs)
                return -ENOMEM;
        r = loop_add_time(loop, &online->timer, USEC_INFINITY, on_timer, online);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(online);
        return 0;
}

Online *online_free(Online *online)
{
        if (!online)
                return NULL;

        worker_cancel(online->worker);
        loop_source_free(online->timer);
        while (online->ops) {
                OnlineOp *op = online->ops;

                online->ops = op->next;
                if (op->request)
                        request_on_cancel(op->request, NULL, NULL);
                free(op->message);
                free(op);
        }
        free(online->sysfs);
        free(online);
        return NULL;
}
