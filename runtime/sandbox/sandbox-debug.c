/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Debug=yes: the debug extension as a second disk of the machine, and a socket of the host, root only, whose
 * connections are shells in the guest (agent/debug-console.h). Host side; bytes of the guest go to the client
 * as they are, and nowhere else.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "basic/error.h"
#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/log.h"
#include "runtime/agent-client/splice.h"
#include "runtime/sandbox/sandbox-internal.h"
#include "basic/unix-socket.h"

#define DEBUG_SOCKET_NAME "debug.sock"

typedef struct DebugSession DebugSession;

struct DebugSession {
        DebugSocket *socket;
        DebugSession *next;
        unsigned number;
        int client_fd;          /* until the stream of the guest is open */
        Splice *splice;         /* from then on */
};

struct DebugSocket {
        Sandbox *sandbox;
        int fd;
        sd_event_source *io;
        DebugSession *sessions;
        unsigned n_sessions, last_number;
};

int sandbox_plan_debug(Sandbox *s, char **reterr_message)
{
        const NodeConf *node = s->node;
        int r;

        s->config.debug_image_path = strdup(node->debug_image);
        if (!s->config.debug_image_path)
                return EX_OSERR;

        r = guest_params_load(node->debug_parameters, &s->config.debug_params, reterr_message);
        /* It runs with all rights in the guest: no weaker rule than for the guest image. */
        if (r >= 0 && node->image_certificate)
                r = guest_params_verify_signature(&s->config.debug_params, node->debug_image, NULL,
                                                  node->image_certificate, reterr_message);
        if (r >= 0)
                r = vm_config_open_debug(&s->config, node->debug_parameters, reterr_message);
        if (r < 0) {
                (void) error_prefixf(reterr_message, r, "debug extension (Debug=yes)");
                return EX_CONFIG;
        }

        s->debug = true;
        return 0;
}

/* --- sessions --- */

static void session_free(DebugSession *session)
{
        DebugSocket *socket = session->socket;

        for (DebugSession **p = &socket->sessions; *p; p = &(*p)->next)
                if (*p == session) {
                        *p = session->next;
                        socket->n_sessions--;
                        break;
                }
        splice_free(session->splice);
        safe_close(session->client_fd);
        free(session);
}

/* The client is a person at a terminal or a script: it is told why there is no shell. */
static void refuse_client(Sandbox *s, int fd, const char *why)
{
        _cleanup_free_ char *text = NULL;

        log_warning("No debug session in sandbox '%s': %s", s->id, why);
        if (asprintf(&text, "kata: no debug session: %s\r\n", why) >= 0)
                (void) send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void session_ended(DebugSession *session)
{
        Sandbox *s = session->socket->sandbox;
        uint64_t to_guest, to_client;

        splice_totals(session->splice, &to_guest, &to_client);
        sandbox_event(s->relay, EVENT_DEBUG_SESSION_ENDED, NULL, NULL,
                      "Debug session %u in sandbox '%s' ended: %" PRIu64 " bytes to the guest, %" PRIu64
                      " from it", session->number, s->id, to_guest, to_client);
        session_free(session);
}

static void on_splice_end(Splice *splice, void *userdata)
{
        session_ended(userdata);
}

static void on_stream_open(Transport *t, int error, const char *text, int fd, uint32_t source_port,
                           void *userdata)
{
        DebugSession *session = userdata;
        Sandbox *s = session->socket->sandbox;
        int r = error;

        if (r >= 0) {
                r = splice_new(&session->splice, s->event, session->client_fd, fd, on_splice_end, session);
                if (r < 0)
                        safe_close(fd);
        }
        if (r < 0) {
                refuse_client(s, session->client_fd, error_text(text, r));
                session_free(session);
                return;
        }
        TAKE_FD(session->client_fd);
}

/* "process 4711 (socat) of user 0", as the kernel vouches for it. */
static char *peer_text(int fd, char pid[static 16])
{
        _cleanup_free_ char *comm = NULL, *shown = NULL;
        struct ucred peer = {};
        socklen_t n = sizeof(peer);
        char path[64], *text;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
                peer = (struct ucred) { .uid = (uid_t) -1 };
        snprintf(pid, 16, "%d", (int) peer.pid);
        snprintf(path, sizeof(path), "/proc/%d/comm", (int) peer.pid);
        if (read_file_at(AT_FDCWD, path, 64, &comm, NULL) >= 0)
                shown = text_escape(comm, strcspn(comm, "\n"), 32);

        return asprintf(&text, "process %s (%s) of user %d", pid, shown ? shown : "?",
                        (int) peer.uid) < 0 ? NULL : text;
}

static void session_begin(DebugSocket *socket, int client_fd)
{
        Sandbox *s = socket->sandbox;
        DebugSession *session;
        char pid[16];
        _cleanup_free_ char *peer = peer_text(client_fd, pid);
        int r;

        session = new0(DebugSession, 1);
        if (!session) {
                refuse_client(s, client_fd, strerror(ENOMEM));
                safe_close(client_fd);
                return;
        }
        *session = (DebugSession) {
                .socket = socket, .next = socket->sessions, .number = ++socket->last_number,
                .client_fd = client_fd,
        };
        socket->sessions = session;
        socket->n_sessions++;

        r = s->transport ? transport_open(s->transport, AGENT_DEBUG_PORT, on_stream_open, session) :
                           -ENOTCONN;
        if (r < 0) {
                refuse_client(s, client_fd, strerror(-r));
                session_free(session);
                return;
        }
        sandbox_event(s->relay, EVENT_DEBUG_SESSION_BEGAN, NULL,
                      (const char *const[]) { "KATA_DEBUG_PEER", pid, NULL },
                      "Debug session %u in sandbox '%s' began: %s", session->number, s->id,
                      error_text(peer, ENOMEM));
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        DebugSocket *socket = userdata;
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (client < 0)
                return 0;
        if (socket->n_sessions >= DEBUG_SESSIONS_MAX) {
                refuse_client(socket->sandbox, client, "there are too many already");
                safe_close(client);
                return 0;
        }

        session_begin(socket, client);
        return 0;
}

/* --- the socket --- */

static int socket_listen(DebugSocket *socket)
{
        _cleanup_close_ int dir_fd = open(socket->sandbox->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        int r;

        if (dir_fd < 0)
                return negative_errno();
        r = unix_listen_at(dir_fd, DEBUG_SOCKET_NAME, &socket->fd);
        if (r >= 0)
                r = fd_set_nonblock(socket->fd, true);
        if (r >= 0)
                r = sd_event_add_io(socket->sandbox->event, &socket->io, socket->fd, EPOLLIN, on_connection,
                                    socket);
        return r;
}

void sandbox_open_debug_socket(Sandbox *s)
{
        DebugSocket *socket;
        int r;

        if (!s->debug || s->debug_socket)
                return;

        socket = new0(DebugSocket, 1);
        if (!socket) {
                (void) log_oom();
                return;
        }
        *socket = (DebugSocket) { .sandbox = s, .fd = -EBADF };
        r = socket_listen(socket);
        if (r < 0) {
                /* No reason to take down what runs. */
                log_warning_errno(r, "Debug socket '%s/" DEBUG_SOCKET_NAME "', ignoring", s->run_dir);
                debug_socket_free(socket);
                return;
        }

        s->debug_socket = socket;
        sandbox_event(s->relay, EVENT_DEBUG_MODE, NULL, NULL,
                      "Sandbox '%s' runs in debug mode (Debug=yes): root of this host gets a shell in the "
                      "guest through '%s/" DEBUG_SOCKET_NAME "'", s->id, s->run_dir);
}

void sandbox_close_debug_socket(Sandbox *s)
{
        DebugSocket *socket = s->debug_socket;
        DebugSession *next;

        if (!socket)
                return;

        socket->io = sd_event_source_disable_unref(socket->io);
        if (socket->fd >= 0) {
                _cleanup_free_ char *path = sandbox_path(s, DEBUG_SOCKET_NAME);

                if (path)
                        (void) unlink(path);
                socket->fd = safe_close(socket->fd);
        }
        /* The transport still knows of the others. */
        for (DebugSession *session = socket->sessions; session; session = next) {
                next = session->next;
                if (session->splice)
                        session_ended(session);
        }
}

DebugSocket *debug_socket_free(DebugSocket *socket)
{
        if (!socket)
                return NULL;

        while (socket->sessions)
                session_free(socket->sessions);
        sd_event_source_disable_unref(socket->io);
        safe_close(socket->fd);
        free(socket);
        return NULL;
}
