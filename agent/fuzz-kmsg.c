/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel log records, and what becomes of them in JSON: any input gives one line of valid UTF-8. */

#include "agent/kmsg.h"
#include "basic/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_free_ char *buf = NULL;
        const char *line;
        KmsgRecord record;
        LogRing log;
        size_t n;

        if (size > KIB(32))
                return 0;
        buf = malloc(MAX(size, (size_t) 1));
        if (!buf || log_ring_init(&log, KIB(64)) < 0)
                return 0;
        if (size > 0)
                memcpy(buf, data, size);

        if (kmsg_parse(buf, size, &record) < 0)
                record = (KmsgRecord) { .text = buf, .text_len = size };
        assert(record.text >= buf && record.text + record.text_len <= buf + size);

        log_ring_add(&log, &(LogRecord) {
                .msg = record.text, .msg_len = record.text_len, .kernel = true,
                .priority = (int) record.level, .usec = record.usec,
        });
        line = ring_peek(&log.ring, &n);
        assert(n > 0 && n < LOG_RECORD_MAX + 1024);
        assert(memchr(line, '\n', n) == line + n - 1);
        assert(utf8_is_valid(line, n));
        log_ring_done(&log);
        return 0;
}
