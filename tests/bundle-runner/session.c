/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to an agent, one by one: see session.h. */

#include "tests/bundle-runner/session.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"

struct Session {
        sd_event *event;
        TtrpcClient *client;
        bool pending;
        int error;
        char *text;
        SessionTake take;
        void *userdata;
};

int unix_connect(const char *path, const char *origin, size_t origin_n)
{
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un address = { .sun_family = AF_UNIX }, own = { .sun_family = AF_UNIX };

        if (fd < 0)
                return negative_errno();
        if (strlen(path) >= sizeof(address.sun_path) || origin_n >= sizeof(own.sun_path))
                return -ENAMETOOLONG;

        if (origin) {
                memcpy(own.sun_path + 1, origin, origin_n);
                if (bind(fd, (struct sockaddr *) &own,
                         (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + origin_n)) < 0)
                        return negative_errno();
        }

        memcpy(address.sun_path, path, strlen(path) + 1);
        if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return negative_errno();
        return TAKE_FD(fd);
}

/* Pending calls have had their answer by then, and later ones fail at once. */
static void on_lost(TtrpcClient *client, const char *text, void *userdata)
{
}

Session *session_free(Session *s)
{
        if (!s)
                return NULL;

        ttrpc_client_free(s->client);
        sd_event_unref(s->event);
        free(s->text);
        free(s);
        return NULL;
}

int session_open(Session **ret, const char *socket_path, char **reterr_message)
{
        _cleanup_(session_freep) Session *s = new0(Session, 1);
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (!s)
                return -ENOMEM;

        r = fd = unix_connect(socket_path, NULL, 0);
        if (r >= 0)
                r = sd_event_new(&s->event);
        if (r >= 0)
                r = ttrpc_client_new(&s->client, s->event, fd, "agent", on_lost, s);
        if (r < 0)
                return error_setf(reterr_message, r, "cannot connect to the agent: %s", strerror(-r));

        fd = -EBADF;
        *ret = TAKE_PTR(s);
        return 0;
}

TtrpcClient *session_client(Session *s)
{
        return s->client;
}

sd_event *session_event(Session *s)
{
        return s->event;
}

void session_begin(Session *s, SessionTake take, void *userdata)
{
        s->pending = true;
        s->error = 0;
        s->text = mfree(s->text);
        s->take = take;
        s->userdata = userdata;
}

void session_on_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata)
{
        Session *s = userdata;

        s->pending = false;
        s->error = error;
        s->text = text ? strdup(text) : NULL;
        if (error == 0 && s->take)
                s->take(message, s->userdata);
}

void session_ignore_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata)
{
}

int session_finish(Session *s, int started, char **reterr_message)
{
        int r = started;

        while (r >= 0 && s->pending)
                r = sd_event_run(s->event, UINT64_MAX);
        s->pending = false;
        if (r < 0)
                return error_setf(reterr_message, r, "call to the agent: %s", strerror(-r));
        if (s->error < 0)
                return error_setf(reterr_message, s->error, "%s", error_text(s->text, s->error));
        return 0;
}
