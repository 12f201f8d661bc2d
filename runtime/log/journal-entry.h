/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One journal entry in the native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): "NAME=value\n", or for a
 * value with newlines NAME, newline, length as 64-bit little-endian, value, newline. So a value can be any
 * bytes and never becomes a field of its own.
 *
 * Names are ours: constants in the code, never text from outside.
 */

#include "basic/cleanup.h"

typedef struct JournalEntry {
        uint8_t *data;
        size_t n, allocated;
        int error;              /* sticky: -ENOMEM */
} JournalEntry;

void journal_entry_done(JournalEntry *entry);

/* Empty or NULL values are left out. */
void journal_entry_add(JournalEntry *entry, const char *name, const void *value, size_t n);
void journal_entry_add_string(JournalEntry *entry, const char *name, const char *value);
void journal_entry_addf(JournalEntry *entry, const char *name, const char *format, ...) _printf_(3, 4);
