/* SPDX-License-Identifier: Apache-2.0 */
/* Log records of the guest: see log-ring.h. Texts may come from a workload by way of the kernel. */

#include "agent/log-ring.h"

#include <time.h>

#include "agent/json-text.h"
#include "basic/limits.h"

/* A quarter of the whole. */
#define GIVE_BACK_MIN (LOG_RING_SIZE / 4)

int log_ring_init(LogRing *log, size_t size)
{
        *log = (LogRing) {};
        return ring_init(&log->ring, size);
}

void log_ring_done(LogRing *log)
{
        ring_done(&log->ring);
        *log = (LogRing) {};
}

const char *log_ring_level_name(int priority)
{
        static const char *const names[] = {
                [LOG_EMERG] = "CRIT", [LOG_ALERT] = "CRIT", [LOG_CRIT] = "CRIT", [LOG_ERR] = "ERRO",
                [LOG_WARNING] = "WARN", [LOG_NOTICE] = "INFO", [LOG_INFO] = "INFO",
                [LOG_DEBUG] = "DEBG",
        };

        return names[priority & LOG_PRIMASK];
}

/* RFC 3339 with microseconds, UTC. */
static void format_time(usec_t realtime, char *buf, size_t size)
{
        time_t sec = (time_t) (realtime / USEC_PER_SEC);
        struct tm tm = {};
        size_t n;

        (void) gmtime_r(&sec, &tm);
        n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(buf + n, size - n, ".%06uZ", (unsigned) (realtime % USEC_PER_SEC));
}

static int log_ring_write(LogRing *log, const LogRecord *record, uint64_t dropped)
{
        char line[LOG_RECORD_MAX + 1024], ts[48];
        usec_t monotonic = now_usec(), realtime = now_realtime_usec(), usec = record->usec;
        JsonText json;
        size_t n;
        int r;

        if (usec == 0 || usec > monotonic)
                usec = monotonic;
        format_time(realtime - MIN(realtime, monotonic - usec), ts, sizeof(ts));

        json_begin(&json, line, sizeof(line));
        json_add_text(&json, "msg", record->msg, record->msg_len, LOG_RECORD_MAX);
        json_add_string(&json, "level", log_ring_level_name(record->priority));
        json_add_string(&json, "ts", ts);
        json_add_string(&json, "name", record->kernel ? "kata-kernel" : "kata-agent");
        json_add_string(&json, "source", record->kernel ? "kernel" : "agent");
        json_add_string(&json, "subsystem", record->subsystem ? record->subsystem :
                                            record->kernel ? "kernel" : "agent");
        json_add_string(&json, "version", PROJECT_VERSION);
        json_add_string(&json, "pid", "1");
        json_add_u64(&json, "usec", usec);
        json_add_u64(&json, "seq", log->seq);
        json_add_u64(&json, "prio", (uint64_t) (record->priority & LOG_PRIMASK));
        if (record->container)
                json_add_text(&json, "container", record->container, strlen(record->container),
                              CONTAINER_ID_MAX);
        if (dropped > 0)
                json_add_u64(&json, "dropped", dropped);
        r = json_end(&json, &n);
        if (r < 0)
                return r;

        r = ring_write(&log->ring, line, n);
        if (r < 0)
                return r;

        log->seq++;
        return 0;
}

static int log_ring_report(LogRing *log)
{
        char text[64];
        int n, r;

        if (log->dropped == 0)
                return 0;

        n = snprintf(text, sizeof(text), "%llu log records were dropped",
                     (unsigned long long) log->dropped);
        r = log_ring_write(log, &(LogRecord) {
                .msg = text, .msg_len = (size_t) n, .priority = LOG_WARNING,
        }, log->dropped);
        if (r >= 0)
                log->dropped = 0;

        return r;
}

static void log_ring_tell(LogRing *log)
{
        if (!log->on_data)
                return;

        /* The consumer may log while it sends: it is asked once more then, never recursively. */
        if (log->telling) {
                log->again = true;
                return;
        }

        log->telling = true;
        for (unsigned i = 0; i < 4; i++) {
                log->again = false;
                log->on_data(log->userdata);
                if (!log->again)
                        break;
        }
        log->telling = false;
}

void log_ring_add(LogRing *log, const LogRecord *record)
{
        /* The notice goes first: records keep their order. */
        if (log_ring_report(log) < 0 || log_ring_write(log, record, 0) < 0)
                log_ring_count_dropped(log, 1);

        log_ring_tell(log);
}

void log_ring_count_dropped(LogRing *log, uint64_t n)
{
        log->dropped += n;
        log->seq += n;
}

void log_ring_room(LogRing *log)
{
        ring_give_back(&log->ring, GIVE_BACK_MIN);
        if (log->dropped == 0)
                return;

        if (log_ring_report(log) >= 0)
                log_ring_tell(log);
}

bool log_ring_has_room_for_kernel(const LogRing *log)
{
        /* A quarter stays free for the agent's own records, and one record must fit in any case. */
        return ring_space(&log->ring) >= log->ring.size / 4 + LOG_RECORD_MAX + 1024;
}

static void log_ring_target(void *userdata, int priority, int error, const char *text)
{
        log_ring_add(userdata, &(LogRecord) {
                .msg = text, .msg_len = strlen(text), .priority = priority,
        });
}

void log_ring_install(LogRing *log)
{
        LogTarget target = { .write = log_ring_target, .userdata = log };

        log_set_target(log ? &target : NULL);
}
