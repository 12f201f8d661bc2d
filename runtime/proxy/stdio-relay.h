/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bytes between the standard streams of the proxy and the FIFOs that the supervisor has the other ends of. One page
 * in each direction, so back pressure goes all the way. Standard streams are somebody else's open files: they stay
 * in the mode that they have, and are only touched when poll() says so.
 *
 * A supervisor that is killed closes the FIFOs, its successor opens them again: an end of output counts when the
 * process is known to have exited, before that the FIFO is opened anew.
 */

#include <poll.h>

#include "basic/cleanup.h"

#define RELAY_SIZE 4096U

typedef enum RelayKind {
        RELAY_STDIN,
        RELAY_STDOUT,
        RELAY_STDERR,
        _RELAY_KIND_MAX,
} RelayKind;

typedef struct Relay {
        int from, to;
        bool ended;             /* nothing more comes from "from" */
        bool broken;            /* nobody takes what is for "to": it is read and dropped */
        size_t begin, end;
        uint8_t data[RELAY_SIZE];
} Relay;

typedef struct StdioRelay {
        int dir_fd;             /* where the FIFOs are: the process may not find it by name later */
        Relay *relays[_RELAY_KIND_MAX];         /* NULL: there is no such stream */
        bool exited;            /* the process: ends are ends */
        bool stdin_closed;      /* the end of standard input was passed on */
} StdioRelay;

/* "stdin", "stdout", "stderr": the names of the FIFOs. */
const char *relay_kind_name(RelayKind kind);

/* Makes the FIFOs in directory (mode 0600) and opens them. terminal: no third stream. */
int stdio_relay_new(StdioRelay *ret, const char *directory, bool terminal, bool with_stdin,
                    char **reterr_message);
/* Removes the FIFOs. */
void stdio_relay_done(StdioRelay *io);

/* Room for two entries a stream. */
#define STDIO_RELAY_POLLS (2U * _RELAY_KIND_MAX)
void stdio_relay_poll(const StdioRelay *io, struct pollfd polls[static STDIO_RELAY_POLLS]);
/* 1: standard input has just ended. */
int stdio_relay_process(StdioRelay *io, const struct pollfd polls[static STDIO_RELAY_POLLS]);

/* The process has exited: from now on output ends when its FIFO has no writer. */
void stdio_relay_set_exited(StdioRelay *io);
/* Some that the caller has not taken. */
bool stdio_relay_has_output(const StdioRelay *io);
/* All output has been passed on. */
bool stdio_relay_is_done(const StdioRelay *io);
