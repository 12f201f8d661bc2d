/* SPDX-License-Identifier: Apache-2.0 */
/* Journal entries: see journal-entry.h. Values may come from the guest. */

#include "runtime/log/journal-entry.h"

#include <endian.h>
#include <stdarg.h>

void journal_entry_done(JournalEntry *entry)
{
        free(entry->data);
        *entry = (JournalEntry) {};
}

static void append(JournalEntry *e, const void *data, size_t n)
{
        if (e->error < 0)
                return;

        if (n > e->allocated - e->n) {
                size_t want = MAX(e->allocated * 2, e->n + n + 256);
                uint8_t *grown = realloc(e->data, want);

                if (!grown) {
                        e->error = -ENOMEM;
                        return;
                }
                e->data = grown;
                e->allocated = want;
        }

        memcpy(e->data + e->n, data, n);
        e->n += n;
}

void journal_entry_add(JournalEntry *e, const char *name, const void *value, size_t n)
{
        if (n == 0)
                return;

        append(e, name, strlen(name));
        if (memchr(value, '\n', n)) {
                uint64_t size = htole64(n);

                append(e, "\n", 1);
                append(e, &size, sizeof(size));
        } else
                append(e, "=", 1);
        append(e, value, n);
        append(e, "\n", 1);
}

void journal_entry_add_string(JournalEntry *e, const char *name, const char *value)
{
        if (value)
                journal_entry_add(e, name, value, strlen(value));
}

void journal_entry_addf(JournalEntry *e, const char *name, const char *format, ...)
{
        char *text;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0) {
                e->error = -ENOMEM;
                return;
        }

        journal_entry_add(e, name, text, (size_t) n);
        free(text);
}
