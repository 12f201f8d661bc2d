/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel log reader: see kmsg.h. kmsg_parse() is fuzzed (fuzz-kmsg.c). */

#include "agent/kmsg.h"

#include <unistd.h>

/* The kernel refuses a shorter buffer with EINVAL; its longest extended record is 8 KiB. */
#define KMSG_BUFFER_SIZE 8192U
/* Records handled before other sources get their turn. */
#define KMSG_BATCH 64U

struct Kmsg {
        Loop *loop;
        LogRing *log;
        int fd;
        LoopSource *source;     /* NULL before the first kmsg_resume() and while the ring is full */
        uint64_t next_seq;
};

/* Decimal digits at *p, ended by one of the characters in stops (which is skipped). */
static int take_u64(const char **p, const char *end, const char *stops, uint64_t *ret, char *ret_stop)
{
        uint64_t v = 0;
        const char *start = *p, *s = start;

        for (; s < end && *s >= '0' && *s <= '9'; s++)
                if (__builtin_mul_overflow(v, 10U, &v) ||
                    __builtin_add_overflow(v, (uint64_t) (*s - '0'), &v))
                        return -EBADMSG;
        if (s == start || s == end || *s == '\0' || !strchr(stops, *s))
                return -EBADMSG;

        *ret_stop = *s;
        *ret = v;
        *p = s + 1;
        return 0;
}

static int hex_value(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t unescape(char *s, size_t n)
{
        size_t out = 0;

        for (size_t i = 0; i < n; i++) {
                if (s[i] == '\\' && n - i >= 4 && s[i + 1] == 'x' && hex_value(s[i + 2]) >= 0 &&
                    hex_value(s[i + 3]) >= 0) {
                        s[out++] = (char) (hex_value(s[i + 2]) << 4 | hex_value(s[i + 3]));
                        i += 3;
                } else
                        s[out++] = s[i];
        }

        return out;
}

int kmsg_parse(char *buf, size_t n, KmsgRecord *ret)
{
        const char *p = buf, *end = buf + n;
        uint64_t prio, seq, usec;
        char stop, *text, *newline;
        size_t len;
        int r;

        r = take_u64(&p, end, ",", &prio, &stop);
        if (r >= 0)
                r = take_u64(&p, end, ",", &seq, &stop);
        if (r >= 0)
                r = take_u64(&p, end, ",;", &usec, &stop);
        if (r < 0)
                return r;

        /* Flags and whatever later kernels add stand before the semicolon. */
        if (stop == ',') {
                const char *semicolon = memchr(p, ';', (size_t) (end - p));

                if (!semicolon)
                        return -EBADMSG;
                p = semicolon + 1;
        }

        /* Lines after the first are the dictionary (" KEY=value"): not forwarded. */
        text = buf + (p - buf);
        len = (size_t) (end - p);
        newline = memchr(text, '\n', len);
        if (newline)
                len = (size_t) (newline - text);

        *ret = (KmsgRecord) {
                .level = (unsigned) (prio & LOG_PRIMASK),
                .facility = (unsigned) MIN(prio >> 3, (uint64_t) 1023),
                .seq = seq,
                .usec = usec,
                .text = text,
                .text_len = unescape(text, len),
        };
        return 0;
}

static void kmsg_forward(Kmsg *kmsg, char *buf, size_t n)
{
        KmsgRecord record;

        if (kmsg_parse(buf, n, &record) < 0) {
                log_ring_count_dropped(kmsg->log, 1);
                return;
        }

        /* The first number counts too: the buffer may have wrapped before PID 1 came up. */
        if (record.seq > kmsg->next_seq)
                log_ring_count_dropped(kmsg->log, record.seq - kmsg->next_seq);
        kmsg->next_seq = record.seq + 1;

        log_ring_add(kmsg->log, &(LogRecord) {
                .msg = record.text,
                .msg_len = record.text_len,
                .priority = (int) record.level,
                .kernel = true,
                .subsystem = record.facility == 0 ? "kernel" : "kmsg",
                .usec = record.usec,
        });
}

static void kmsg_on_input(LoopSource *source, int fd, uint32_t events, void *userdata)
{
        Kmsg *kmsg = userdata;
        char buf[KMSG_BUFFER_SIZE];

        for (unsigned i = 0; i < KMSG_BATCH; i++) {
                ssize_t n;

                if (!log_ring_has_room_for_kernel(kmsg->log)) {
                        /* Freed, not masked: /dev/kmsg reports EPOLLERR after an overrun. */
                        kmsg->source = loop_source_free(kmsg->source);
                        return;
                }

                n = read(fd, buf, sizeof(buf));
                if (n < 0 && (errno == EINTR || errno == EPIPE))
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return;
                if (n <= 0) {
                        int r = n < 0 ? negative_errno() : -ENODATA;

                        kmsg->source = loop_source_free(kmsg->source);
                        kmsg->fd = safe_close(kmsg->fd);
                        log_error_errno(r, "Can not read the kernel log any more");
                        return;
                }
                kmsg_forward(kmsg, buf, (size_t) n);
        }
}

void kmsg_resume(Kmsg *kmsg)
{
        int r;

        if (!kmsg || kmsg->fd < 0 || kmsg->source || !log_ring_has_room_for_kernel(kmsg->log))
                return;

        r = loop_add_fd(kmsg->loop, &kmsg->source, kmsg->fd, EPOLLIN, kmsg_on_input, kmsg);
        if (r < 0) {
                kmsg->fd = safe_close(kmsg->fd);
                log_error_errno(r, "Can not watch the kernel log");
        }
}

int kmsg_new(Kmsg **ret, Loop *loop, LogRing *log, int *fd)
{
        Kmsg *kmsg = new0(Kmsg, 1);

        if (!kmsg)
                return -ENOMEM;

        *kmsg = (Kmsg) { .loop = loop, .log = log, .fd = TAKE_FD(*fd) };
        *ret = kmsg;
        return 0;
}

Kmsg *kmsg_free(Kmsg *kmsg)
{
        if (!kmsg)
                return NULL;

        loop_source_free(kmsg->source);
        safe_close(kmsg->fd);
        free(kmsg);
        return NULL;
}
