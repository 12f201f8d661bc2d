/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Lines of a definition file, as systemd's unit files have them:
 *
 *     # or ; at the start of a line: comment; blank lines are skipped
 *     [Section name]
 *     Key=value            blanks around key and value are dropped, the rest is taken as it is
 *     Key=long \           a backslash at the end of a line joins the next one with a blank
 *         value
 *
 * Why not libeconf alone: with 0.5.1 and with 0.7.7 two sections of one name become one, of a key
 * given twice the second value can not be reached, and a line without "=" becomes part of the value
 * above; 0.5.1 also cuts `Command=sh -c "a # b"` at the '#'. In a definition that starts another
 * command than the one that was written. libeconf finds and orders the files of the node
 * configuration.
 *
 * Pure functions; the text may be hostile: valid UTF-8 without control characters, sizes and counts
 * bounded by CONFIG_FILE_MAX, CONFIG_SECTIONS_MAX and CONFIG_ENTRIES_MAX.
 */

#include "basic/cleanup.h"

typedef struct ConfSection {
        char *name;
        unsigned line;
} ConfSection;

typedef struct ConfEntry {
        size_t section; /* index in sections */
        char *key;      /* letters and digits */
        char *value;    /* "" if empty */
        unsigned line;  /* where the key stands */
} ConfEntry;

typedef struct ConfFile {
        ConfSection *sections; /* in the order of the file, names unique */
        size_t n_sections;
        ConfEntry *entries;
        size_t n_entries;
} ConfFile;

/* name is for error texts, "NAME:LINE: what". -EINVAL, -E2BIG, -EFBIG, -ENOMEM. */
int conf_file_parse(const char *name, const char *text, size_t size, ConfFile **ret,
                    char **reterr_message);

ConfFile *conf_file_free(ConfFile *file);
DEFINE_CLEANUP_FUNC(ConfFile *, conf_file_free)
#define _cleanup_conf_file_ _cleanup_(conf_file_freep)
