/* SPDX-License-Identifier: Apache-2.0 */
/* Log records of the guest: see record-parse.h. On the trust boundary. */

#include "runtime/log/record-parse.h"

#include <json-c/json.h>
#include <syslog.h>

#include "basic/limits.h"

#define RECORD_DEPTH_MAX 3
#define SUBSYSTEM_MAX 64U

static const struct {
        const char *level;
        int priority;
} levels[] = {
        { "TRCE", LOG_DEBUG }, { "DEBG", LOG_DEBUG }, { "INFO", LOG_INFO },
        { "WARN", LOG_WARNING }, { "ERRO", LOG_ERR }, { "CRIT", LOG_CRIT },
};

void log_record_done(LogRecordView *record)
{
        free(record->message);
        free(record->subsystem);
        free(record->container);
        *record = (LogRecordView) {};
}

static const char *get_string(json_object *o, const char *key, size_t *ret_n)
{
        json_object *v;

        if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_string))
                return NULL;

        *ret_n = (size_t) json_object_get_string_len(v);
        return json_object_get_string(v);
}

static bool get_u64(json_object *o, const char *key, uint64_t *ret)
{
        json_object *v;
        int64_t i;

        if (!json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, json_type_int))
                return false;
        i = json_object_get_int64(v);
        if (i < 0)
                return false;

        *ret = (uint64_t) i;
        return true;
}

/* A word without surprises: letters, digits and a few signs. */
static bool is_word(const char *s, size_t n)
{
        if (n == 0 || n > SUBSYSTEM_MAX)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                      (s[i] >= '0' && s[i] <= '9') || (s[i] && strchr("._-/", s[i]))))
                        return false;
        return true;
}

static int set_message(LogRecordView *record, const void *text, size_t n)
{
        record->n_message = MIN(n, LOG_RECORD_MAX);
        record->message = malloc(record->n_message + 1);
        if (!record->message)
                return -ENOMEM;

        memcpy(record->message, text, record->n_message);
        record->message[record->n_message] = '\0';
        return 0;
}

static int parse_object(json_object *o, LogRecordView *record)
{
        const char *s;
        uint64_t v;
        size_t n;

        s = get_string(o, "source", &n);
        if (s && streq(s, "kernel"))
                record->source = RECORD_KERNEL;

        s = get_string(o, "level", &n);
        for (size_t i = 0; s && i < ELEMENTSOF(levels); i++)
                if (streq(s, levels[i].level))
                        record->priority = levels[i].priority;
        if (get_u64(o, "prio", &v) && v <= LOG_DEBUG)
                record->priority = (int) v;
        /* journald shouts LOG_EMERG to every terminal of the host: a guest does not get that. */
        record->priority = MAX(record->priority, LOG_ALERT);

        if (get_u64(o, "usec", &v))
                record->guest_usec = v;
        (void) get_u64(o, "dropped", &record->dropped);

        s = get_string(o, "subsystem", &n);
        if (s && is_word(s, n)) {
                record->subsystem = strdup(s);
                if (!record->subsystem)
                        return -ENOMEM;
        }
        s = get_string(o, "container", &n);
        if (s && strlen(s) == n && id_is_valid(s, CONTAINER_ID_MAX)) {
                record->container = strdup(s);
                if (!record->container)
                        return -ENOMEM;
        }

        s = get_string(o, "msg", &n);
        return s ? set_message(record, s, n) : -EBADMSG;
}

int log_record_parse(const void *line, size_t n, LogRecordView *ret)
{
        LogRecordView record = {
                .priority = LOG_INFO,
                .guest_usec = USEC_INFINITY,
        };
        json_tokener *tokener = json_tokener_new_ex(RECORD_DEPTH_MAX);
        json_object *o = NULL;
        int r = -EBADMSG;

        if (!tokener)
                return -ENOMEM;

        if (n > 0 && n <= LOG_LINE_MAX && ((const char *) line)[0] == '{') {
                o = json_tokener_parse_ex(tokener, line, (int) n);
                if (o && json_tokener_get_error(tokener) == json_tokener_success &&
                    json_object_is_type(o, json_type_object) && json_tokener_get_parse_end(tokener) == n)
                        r = parse_object(o, &record);
        }
        json_object_put(o);
        json_tokener_free(tokener);

        /* Not a record: a panic of another agent, or an attack; its text is worth keeping. */
        if (r == -EBADMSG) {
                log_record_done(&record);
                record = (LogRecordView) {
                        .priority = LOG_WARNING,
                        .guest_usec = USEC_INFINITY,
                };
                r = set_message(&record, line, n);
        }
        if (r < 0) {
                log_record_done(&record);
                return r;
        }

        *ret = record;
        return 0;
}
