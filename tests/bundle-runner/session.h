/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One connection to an agent, one call at a time: begin, call, finish. The calls are those of
 * runtime/agent-client/agent.h, with session_on_reply() and the session as handler and userdata:
 *
 *      session_begin(s, take, userdata);
 *      r = agent_start_container(session_client(s), id, timeout, session_on_reply, s);
 *      r = session_finish(s, r, &message);
 */

#include "runtime/agent-client/ttrpc-client.h"

typedef struct Session Session;

/* Of a message that is valid during the call. */
typedef void (*SessionTake)(const void *message, void *userdata);

int session_open(Session **ret, const char *socket_path, char **reterr_message);
/* Accepts NULL, returns NULL. */
Session *session_free(Session *session);
DEFINE_CLEANUP_FUNC(Session *, session_free)

TtrpcClient *session_client(Session *session);
sd_event *session_event(Session *session);

/* take may be NULL. */
void session_begin(Session *session, SessionTake take, void *userdata);
void session_on_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata);
/* started: what the call returned. Runs the loop until the answer is there. */
int session_finish(Session *session, int started, char **reterr_message);

/* For calls that nobody waits for. */
void session_ignore_reply(TtrpcClient *client, int error, const char *text, const void *message, void *userdata);

/* A connected stream socket to PATH. origin, if any: the abstract address that the peer sees, with its NULs. */
int unix_connect(const char *path, const char *origin, size_t origin_n);
