/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of set-up children: see child-link.h. The sender is our own code, in the container's namespaces. */

#include "agent/child-link.h"

#include <sys/socket.h>
#include <unistd.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/unix-socket.h"

int child_link_open(ChildLink *link, int *ret_child_fd)
{
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return negative_errno();

        link->fd = pair[0];
        *ret_child_fd = pair[1];
        return 0;
}

void child_link_close(ChildLink *link)
{
        link->source = loop_source_free(link->source);
        link->fd = safe_close(link->fd);
}

void child_link_done(ChildLink *link)
{
        child_link_close(link);
        link->message = mfree(link->message);
}

int child_link_go(ChildLink *link)
{
        int r;

        if (send(link->fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
                return 0;

        r = negative_errno();
        return r == -EPIPE || r == -ECONNRESET ? -ESRCH : r;
}

static void handle_message(ChildLink *link, const ChildMessage *message, size_t n, int fd)
{
        size_t text_size = n - offsetof(ChildMessage, text);

        switch (message->kind) {
        case CHILD_READY:
        case CHILD_TERMINAL:
        case CHILD_JOINED:
        case CHILD_PREPARED:
        case CHILD_ROOT:
                link->on_message(link, message->kind, fd);
                return;
        case CHILD_EXEC:
                link->exec_seen = true;
                break;
        case CHILD_ERROR:
                if (link->error == 0) {
                        link->error = message->error < 0 ? message->error : -EIO;
                        link->message = text_escape(message->text, strnlen(message->text, text_size),
                                                    CONTAINER_MESSAGE_MAX);
                }
                break;
        }
        safe_close(fd);
}

void child_link_read(ChildLink *link)
{
        while (link->fd >= 0) {
                ChildMessage message;
                int fd;
                ssize_t n = unix_recv_fd(link->fd, &message, sizeof(message), MSG_DONTWAIT, &fd);

                if (n < 0) {
                        if (n == -EINTR)
                                continue;
                        if (n == -EAGAIN)
                                return;
                }
                if (n < (ssize_t) offsetof(ChildMessage, text)) {
                        /* It executed its program, or it died, which the pidfd tells. */
                        safe_close(fd);
                        child_link_close(link);
                        return link->on_end(link);
                }
                handle_message(link, &message, (size_t) n, fd);
        }
}

static void on_event(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        child_link_read(userdata);
}

int child_link_watch(ChildLink *link, Loop *loop)
{
        return loop_add_fd(loop, &link->source, link->fd, EPOLLIN, on_event, link);
}
