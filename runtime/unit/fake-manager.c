/* SPDX-License-Identifier: Apache-2.0 */
/* Test double of the service manager: see fake-manager.h. Runs in tests only. */

#include "runtime/unit/fake-manager.h"

#include <stdarg.h>
#include <sys/socket.h>

#include "basic/fd.h"

#define PATH "/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"

void fake_manager_init(FakeManager *f, sd_event *event)
{
        *f = (FakeManager) { .event = event, .next_job = 7, .control_group = "/kata.slice/x" };
        f->record = strdup("");
}

void fake_manager_disconnect(FakeManager *f)
{
        f->server = sd_bus_flush_close_unref(f->server);
}

void fake_manager_done(FakeManager *f)
{
        fake_manager_disconnect(f);
        sd_event_source_disable_unref(f->timer);
        free(f->unit);
        free(f->record);
        *f = (FakeManager) {};
}

static void _printf_(2, 3) record(FakeManager *f, const char *format, ...)
{
        _cleanup_free_ char *line = NULL;
        char *joined;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&line, format, ap) < 0)
                line = NULL;
        va_end(ap);

        if (line && asprintf(&joined, "%s%s", f->record, line) >= 0) {
                free(f->record);
                f->record = joined;
        }
}

/* Writes the value of a variant in a form that shows type and contents; process ids as "*". */
static int record_value(FakeManager *f, sd_bus_message *m, const char *name)
{
        const char *contents;
        char type;
        int r, b;

        while ((r = sd_bus_message_peek_type(m, &type, &contents)) > 0) {
                const char *s;
                uint64_t t;
                uint32_t u;
                uint8_t y;

                switch (type) {
                case 's':
                        r = sd_bus_message_read_basic(m, type, &s);
                        record(f, " \"%s\"", s);
                        break;
                case 'b':
                        r = sd_bus_message_read_basic(m, type, &b);
                        record(f, " %s", b ? "true" : "false");
                        break;
                case 't':
                        r = sd_bus_message_read_basic(m, type, &t);
                        record(f, " %llu", (unsigned long long) t);
                        break;
                case 'h':
                        r = sd_bus_message_read_basic(m, type, &b);
                        record(f, " *");
                        break;
                case 'u':
                        r = sd_bus_message_read_basic(m, type, &u);
                        record(f, " *");
                        break;
                case 'y':
                        r = sd_bus_message_read_basic(m, type, &y);
                        record(f, " %02x", y);
                        break;
                default:
                        r = sd_bus_message_enter_container(m, type, contents);
                        if (r < 0)
                                return r;
                        record(f, " [");
                        r = record_value(f, m, name);
                        if (r < 0)
                                return r;
                        record(f, " ]");
                        r = sd_bus_message_exit_container(m);
                }
                if (r < 0)
                        return r;
        }

        return r;
}

static bool is_refused(FakeManager *f, const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(f->refuse); i++)
                if (f->refuse[i] && streq(f->refuse[i], name))
                        return true;

        return false;
}

/* Records a(sv); *ret_refused is the first property that is refused, or NULL. */
static int record_properties(FakeManager *f, sd_bus_message *m, const char **ret_refused)
{
        const char *name, *signature;
        char type;
        int r;

        *ret_refused = NULL;
        r = sd_bus_message_enter_container(m, 'a', "(sv)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r < 0)
                        return r;
                if (!*ret_refused && is_refused(f, name))
                        *ret_refused = name;
                r = sd_bus_message_peek_type(m, &type, &signature);
                if (r < 0)
                        return r;
                record(f, "  %s %s", name, signature);
                f->n_refs += streq(name, "AddRef");
                r = sd_bus_message_enter_container(m, 'v', signature);
                if (r < 0)
                        return r;
                r = record_value(f, m, name);
                record(f, "\n");
                if (r < 0 || (r = sd_bus_message_exit_container(m)) < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
        }

        return r;
}

static void send_removed(FakeManager *f, uint32_t job, const char *result)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        char path[64];

        snprintf(path, sizeof(path), PATH "/job/%u", job);
        /* As the bus driver would deliver it, for matches that name the sender. */
        if (f->server &&
            sd_bus_message_new_signal(f->server, &m, PATH, MANAGER, "JobRemoved") >= 0 &&
            sd_bus_message_set_sender(m, "org.freedesktop.systemd1") >= 0 &&
            sd_bus_message_append(m, "uoss", job, path, strempty(f->unit), result) >= 0)
                (void) sd_bus_send(f->server, m, NULL);
}

void fake_manager_end_job(FakeManager *f, const char *result)
{
        uint32_t job = f->job;

        f->job = 0;
        f->timer = sd_event_source_disable_unref(f->timer);
        if (job > 0)
                send_removed(f, job, result);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        FakeManager *f = userdata;

        fake_manager_end_job(f, f->job_result ? f->job_result : "done");
        return 0;
}

static int answer_job(FakeManager *f, sd_bus_message *m)
{
        const char *result = f->job_result ? f->job_result : "done";
        char path[64];
        int r;

        if (f->error_name)
                return sd_bus_reply_method_errorf(m, f->error_name, "%s", strempty(f->error_text));

        f->job = f->next_job++;
        snprintf(path, sizeof(path), PATH "/job/%u", f->job);

        if (f->foreign_signals)
                for (uint32_t i = 0; i < 3; i++)
                        send_removed(f, 1000 + i, "canceled");
        if (f->signal_first)
                fake_manager_end_job(f, result);

        r = sd_bus_reply_method_return(m, "o", path);
        if (r < 0 || f->signal_first || f->job_delay == USEC_INFINITY)
                return r;
        if (f->job_delay == 0) {
                fake_manager_end_job(f, result);
                return 0;
        }

        return sd_event_add_time_relative(f->event, &f->timer, CLOCK_MONOTONIC, f->job_delay, 0,
                                          on_timer, f);
}

static int no_such_unit(sd_bus_message *m, const char *unit)
{
        return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.NoSuchUnit",
                                          "Unit %s not loaded.", unit);
}

static int on_start_transient(FakeManager *f, sd_bus_message *m)
{
        const char *name, *mode, *refused;
        int r;

        r = sd_bus_message_read(m, "ss", &name, &mode);
        if (r < 0)
                return r;
        record(f, "StartTransientUnit %s %s\n", name, mode);
        f->n_starts++;

        r = record_properties(f, m, &refused);
        if (r < 0)
                return r;
        if (refused)
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_PROPERTY_READ_ONLY,
                                                  "Cannot set property %s, or unknown property.",
                                                  refused);
        if (f->unit && streq(f->unit, name))
                return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.UnitExists",
                                                  "Unit %s was already loaded or has a fragment file.",
                                                  name);
        if (!f->error_name) {
                free(f->unit);
                f->unit = strdup(name);
        }
        return answer_job(f, m);
}

static int on_set_properties(FakeManager *f, sd_bus_message *m)
{
        const char *name, *refused;
        int r, runtime;

        r = sd_bus_message_read(m, "sb", &name, &runtime);
        if (r < 0)
                return r;
        record(f, "SetUnitProperties %s %s\n", name, runtime ? "true" : "false");
        r = record_properties(f, m, &refused);
        if (r < 0)
                return r;
        if (!f->unit || !streq(f->unit, name))
                return no_such_unit(m, name);
        if (refused)
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_PROPERTY_READ_ONLY,
                                                  "Cannot set property %s, or unknown property.", refused);
        return sd_bus_reply_method_return(m, NULL);
}

/* Some limits, and what is none. */
static int on_get_all(FakeManager *f, sd_bus_message *m)
{
        const char *interface;
        int r = sd_bus_message_read(m, "s", &interface);

        if (r < 0)
                return r;
        record(f, "GetAll %s\n", interface);
        return sd_bus_reply_method_return(m, "a{sv}", 7, "Slice", "s", "kata.slice", "CPUWeight", "t", UINT64_MAX,
                                          "CPUQuotaPerSecUSec", "t", UINT64_C(250000), "DeviceAllow", "a(ss)", 1, "/x",
                                          "rw", "AllowedCPUs", "ay", 2, 0, 1, "MemoryMax", "t", UINT64_C(1) << 30,
                                          "IOWeight", "t", UINT64_C(55));
}

static int on_stop(FakeManager *f, sd_bus_message *m)
{
        const char *name, *mode;
        int r;

        r = sd_bus_message_read(m, "ss", &name, &mode);
        if (r < 0)
                return r;
        record(f, "StopUnit %s %s\n", name, mode);
        if (!f->unit || !streq(f->unit, name))
                return no_such_unit(m, name);

        f->active_state = "inactive";
        return answer_job(f, m);
}

static int on_kill(FakeManager *f, sd_bus_message *m)
{
        const char *name, *whom;
        int32_t sig;
        int r;

        r = sd_bus_message_read(m, "ssi", &name, &whom, &sig);
        if (r < 0)
                return r;
        record(f, "KillUnit %s %s %d\n", name, whom, (int) sig);
        if (!f->unit || !streq(f->unit, name))
                return no_such_unit(m, name);
        return sd_bus_reply_method_return(m, NULL);
}

static int on_processes(FakeManager *f, sd_bus_message *m)
{
        const char *name;
        int r;

        r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        record(f, "GetUnitProcesses %s\n", name);
        if (!f->unit || !streq(f->unit, name))
                return no_such_unit(m, name);
        if (f->pid == 0)
                return sd_bus_reply_method_return(m, "a(sus)", 0);
        return sd_bus_reply_method_return(m, "a(sus)", 1, f->control_group, (uint32_t) f->pid, "x");
}

static int on_get_job(FakeManager *f, sd_bus_message *m)
{
        char path[64];
        uint32_t id;
        int r;

        r = sd_bus_message_read(m, "u", &id);
        if (r < 0)
                return r;
        record(f, "GetJob\n");
        if (id != f->job)
                return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.NoSuchJob",
                                                  "Job %u does not exist.", id);
        snprintf(path, sizeof(path), PATH "/job/%u", id);
        return sd_bus_reply_method_return(m, "o", path);
}

static int on_cancel_job(FakeManager *f, sd_bus_message *m)
{
        record(f, "CancelJob\n");
        f->job = 0;
        return sd_bus_message_get_expect_reply(m) ? sd_bus_reply_method_return(m, NULL) : 1;
}

static int on_other(FakeManager *f, sd_bus_message *m)
{
        record(f, "%s\n", sd_bus_message_get_member(m));
        return sd_bus_message_get_expect_reply(m) ? sd_bus_reply_method_return(m, NULL) : 1;
}

static int on_ref(FakeManager *f, sd_bus_message *m)
{
        f->n_refs++;
        return on_other(f, m);
}

static int on_unref(FakeManager *f, sd_bus_message *m)
{
        record(f, "UnrefUnit\n");
        if (f->n_refs == 0)
                return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.NotReferenced",
                                                  "Unit has not been referenced yet.");
        f->n_refs--;
        return sd_bus_reply_method_return(m, NULL);
}

static int on_get(FakeManager *f, sd_bus_message *m)
{
        const char *interface, *property;
        int r;

        r = sd_bus_message_read(m, "ss", &interface, &property);
        if (r < 0)
                return r;
        record(f, "Get %s\n", property);

        if (streq(property, "ActiveState"))
                return sd_bus_reply_method_return(m, "v", "s",
                                                  f->active_state ? f->active_state :
                                                  f->unit ? "active" : "inactive");
        if (streq(property, "ControlGroup"))
                return sd_bus_reply_method_return(m, "v", "s", f->control_group);
        return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_UNKNOWN_PROPERTY, "No %s", property);
}

static const struct {
        const char *member;
        int (*call)(FakeManager *f, sd_bus_message *m);
} members[] = {
        { "StartTransientUnit", on_start_transient },
        { "StopUnit", on_stop },
        { "KillUnit", on_kill },
        { "GetUnitProcesses", on_processes },
        { "GetJob", on_get_job },
        { "CancelJob", on_cancel_job },
        { "Get", on_get },
        { "GetAll", on_get_all },
        { "SetUnitProperties", on_set_properties },
        { "Subscribe", on_other },
        { "RefUnit", on_ref },
        { "UnrefUnit", on_unref },
};

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        FakeManager *f = userdata;
        const char *member = sd_bus_message_get_member(m);
        int r;

        if (f->mute || !member)
                return 1;

        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                if (!sd_bus_message_is_method_call(m, NULL, members[i].member))
                        continue;
                r = members[i].call(f, m);
                return r < 0 ? r : 1;
        }

        return 0;
}

int fake_manager_connect(void *userdata, sd_bus *client)
{
        FakeManager *f = userdata;
        _cleanup_(sd_bus_unrefp) sd_bus *server = NULL;
        sd_id128_t id;
        int pair[2], r;

        if (f->refuse_connection)
                return -ECONNREFUSED;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return negative_errno();

        if ((r = sd_id128_randomize(&id)) < 0 ||
            (r = sd_bus_new(&server)) < 0 ||
            (r = sd_bus_set_fd(server, pair[0], pair[0])) < 0 ||
            (r = sd_bus_set_server(server, 1, id)) < 0 ||
            (r = sd_bus_negotiate_fds(server, 1)) < 0 ||
            (r = sd_bus_add_filter(server, NULL, on_message, f)) < 0 ||
            (r = sd_bus_start(server)) < 0 ||
            (r = sd_bus_attach_event(server, f->event, 0)) < 0 ||
            (r = sd_bus_set_fd(client, pair[1], pair[1])) < 0)
                return r;

        fake_manager_disconnect(f);
        f->server = TAKE_PTR(server);
        f->n_connections++;
        return 0;
}
