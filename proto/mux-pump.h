/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Runs a Mux over a descriptor, for host and guest alike: every stream is one end of a socketpair,
 * so that the programs above know plain descriptors only. The one file in proto/ that does I/O.
 *
 *      program             wire    program on the other side
 *      shutdown(SHUT_WR)   FIN     reads what was written, then end of file
 *      close()             RST     the same; and writing gives EPIPE
 *
 * A program that does not read stops the writer on the other side (socket buffer, then window);
 * other streams go on. Descriptors given out are non-blocking SOCK_STREAM sockets with
 * close-on-exec: write with MSG_NOSIGNAL, or ignore SIGPIPE; a read may end in ECONNRESET instead
 * of 0.
 *
 * Stands on the trust boundary on both sides, with the bounds of proto/mux.h.
 */

#include "basic/cleanup.h"
#include "proto/mux.h"

typedef struct MuxPump MuxPump;

/* Each may free the pump. Those marked optional may be NULL. */
typedef struct MuxPumpCallbacks {
        /*
         * The session is established: mux_pump_open() works. A server may get it again after
         * on_reset.
         */
        void (*on_ready)(MuxPump *pump, void *userdata);

        /*
         * The peer has opened a stream. Takes fd if it returns >= 0; the peer gets its OK then. A
         * negative errno resets the stream. stream_id is what stands for the peer's port number.
         * Optional: without it all are reset.
         */
        int (*on_connect)(MuxPump *pump, uint32_t port, uint32_t stream_id, int fd, void *userdata);

        /*
         * Server: the session is over, all its streams are closed, the pump waits for a new
         * preamble on the same descriptor (it may have come already). Optional.
         */
        void (*on_reset)(MuxPump *pump, int error, const char *message, void *userdata);

        /*
         * The end: hang-up, I/O error, or (client) a violation. Streams and descriptor are closed.
         */
        void (*on_error)(MuxPump *pump, int error, const char *message, void *userdata);
} MuxPumpCallbacks;

/*
 * Called exactly once for each mux_pump_open() that returned 0. error 0: fd is the callee's. Else
 * fd is -EBADF: -ECONNREFUSED, -ECONNRESET when the session ends first, -ECANCELED from
 * mux_pump_free().
 */
typedef void (*MuxPumpOpenHandler)(MuxPump *pump, int error, int fd, uint32_t stream_id,
                                   void *userdata);

/*
 * Takes fd on success and makes it non-blocking: a stream socket or a virtio-serial port. callbacks
 * is copied. A client offers its preamble until the guest answers, for ever: deadlines are the
 * caller's. A server on a port without a host waits for one; after a hang-up (on_error) the caller
 * closes nothing, opens the port again and makes a new pump.
 */
int mux_pump_new(MuxPump **ret, MuxRole role, int fd, const MuxPumpCallbacks *callbacks,
                 void *userdata);

/* Closes streams and descriptor; what is still queued is lost. Accepts NULL, returns NULL. */
MuxPump *mux_pump_free(MuxPump *pump);
DEFINE_CLEANUP_FUNC(MuxPump *, mux_pump_free)

/* Readable (EPOLLIN) when mux_pump_dispatch() has something to do. Stays the pump's. */
int mux_pump_fd(const MuxPump *pump);

/*
 * Does what can be done without blocking, within a budget. 0, or a negative errno after on_error.
 */
int mux_pump_dispatch(MuxPump *pump);

bool mux_pump_is_ready(const MuxPump *pump);

/*
 * Asks the peer for a stream to port. -ENOTCONN before on_ready, -EMFILE over the limit, -ENOMEM.
 */
int mux_pump_open(MuxPump *pump, uint32_t port, MuxPumpOpenHandler handler, void *userdata);
