/* SPDX-License-Identifier: Apache-2.0 */
/* The log of kata-runtime: see error-log.h. Texts may have foreign bytes in them. */

#include "runtime/cli/error-log.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <time.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/parse.h"

#define TEXT_MAX 4096U

static struct {
        int fd;
        bool json, written;
} file = { .fd = -EBADF };

static void format_time(int64_t when, char ret[static 32])
{
        time_t t = (time_t) when;
        struct tm tm;

        if (!gmtime_r(&t, &tm) || strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
                ret[0] = '\0';
}

static char *format_json(const char *stamp, const char *text)
{
        json_object *o = json_object_new_object();
        char *line = NULL;

        if (!o)
                return NULL;
        json_object_object_add(o, "level", json_object_new_string("error"));
        json_object_object_add(o, "msg", json_object_new_string(text));
        json_object_object_add(o, "time", json_object_new_string(stamp));
        if (asprintf(&line, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN)) < 0)
                line = NULL;
        json_object_put(o);
        return line;
}

char *error_log_format(bool json, int64_t time, const char *text)
{
        _cleanup_free_ char *clean = text_escape(text, strlen(text), TEXT_MAX);
        char stamp[32], *line = NULL;

        if (!clean)
                return NULL;
        format_time(time, stamp);
        if (json)
                return format_json(stamp, clean);
        if (asprintf(&line, "%s error: %s\n", stamp, clean) < 0)
                return NULL;
        return line;
}

static void append(const char *text)
{
        _cleanup_free_ char *line = NULL;

        if (file.fd < 0 || file.written)
                return;
        line = error_log_format(file.json, time(NULL), text);
        /* There is no other place to complain to than the one that has the text already. */
        if (line && write_full(file.fd, line, strlen(line)) >= 0)
                file.written = true;
}

static void on_log(void *userdata, int priority, int error, const char *text)
{
        _cleanup_free_ char *clean = text_escape(text, strlen(text), TEXT_MAX);

        fprintf(stderr, "kata-runtime: %s\n", clean ? clean : "out of memory");
        if (priority <= LOG_ERR)
                append(text);
}

static int level_from_string(const char *level)
{
        static const struct {
                const char *name;
                int priority;
        } levels[] = { { "error", LOG_ERR }, { "warning", LOG_WARNING }, { "info", LOG_INFO },
                       { "debug", LOG_DEBUG } };

        for (size_t i = 0; i < ELEMENTSOF(levels); i++)
                if (streq_ptr(levels[i].name, level))
                        return levels[i].priority;

        return LOG_INFO;
}

int error_log_open(const char *path, bool json, const char *level, char **reterr_message)
{
        int fd;

        log_set_max_level(level_from_string(level));
        log_set_target(&(LogTarget) { .write = on_log });
        if (!path)
                return 0;

        fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
        if (fd < 0) {
                int r = negative_errno();

                return error_setf(reterr_message, r, "--log %s: %s", path, strerror(-r));
        }
        safe_close(file.fd);
        file.fd = fd;
        file.json = json;
        file.written = false;
        return 0;
}
