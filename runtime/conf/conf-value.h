/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Keys of configuration files as tables: where a value goes, how it is read, what is accepted, the
 * default and a description. The same tables drive parsing, error texts, the shipped kata.conf and
 * the check of the manual pages. Pure functions; what they are given may be hostile.
 */

#include "basic/cleanup.h"

typedef struct ConfKey ConfKey;

/*
 * Converts value (never empty) into the field. -EINVAL or -ERANGE: not accepted, the field is
 * unchanged and the caller words the error from key->accepts.
 */
typedef int (*conf_parse_t)(const ConfKey *key, const char *value, void *field);

struct ConfKey {
        const char *section;     /* without brackets */
        const char *name;
        conf_parse_t parse;
        size_t offset;           /* of the field in the structure that the table describes */
        const char *fallback;    /* default as text; "": no parser is called, the field stays 0 */
        const char *accepts;     /* completes "expected ..." */
        const char *description; /* for the shipped file and the manual; may have '\n' */
        /* conf_parse_word: the words in enum order, NULL-terminated; conf_parse_path_or_word */
        const char *const *words;
        uint64_t min, max;       /* conf_parse_{size,u32,usec}: both included */
        bool multiple;           /* may be given several times; each adds to the field */
};

/* The end of a table is a key without name. */
#define CONF_KEY_FOREACH(k, table) for (const ConfKey *k = (table); k->name; k++)

const ConfKey *conf_key_find(const ConfKey *table, const char *section, const char *name);
bool conf_section_known(const ConfKey *table, const char *section);

/* "A=, B= and C=" of a section, "[A], [B] and [C]" of a table: for error texts. New strings. */
char *conf_list_keys(const ConfKey *table, const char *section);
char *conf_list_sections(const ConfKey *table);

/*
 * Sets the field of base; an empty value restores the default. -EINVAL/-ERANGE as the parser says.
 */
int conf_key_apply(const ConfKey *key, const char *value, void *base);
int conf_apply_fallbacks(const ConfKey *table, void *base);

/*
 * Fills reterr_message with "FILE:LINE: [SECTION] KEY=VALUE: expected ACCEPTS" and returns -EINVAL
 * (-ENOMEM stays). section is the one that was written, which may say more than key->section.
 */
int conf_value_error(
                char **reterr_message,
                int error,
                const char *file,
                uint64_t line,
                const char *section,
                const ConfKey *key,
                const char *value);

/* Parsers, with the type of the field. */
int conf_parse_word(const ConfKey *key, const char *value, void *field); /* an enum from 0 */
int conf_parse_bool(const ConfKey *key, const char *value, void *field); /* bool */
int conf_parse_u32(const ConfKey *key, const char *value, void *field);  /* uint32_t */
int conf_parse_usec(const ConfKey *key, const char *value, void *field); /* usec_t */

/* uint64_t: multiple of 1 MiB */
int conf_parse_memory(const ConfKey *key, const char *value, void *field);
/* uint64_t: the same, or UINT64_MAX for the one word */
int conf_parse_memory_or_word(const ConfKey *key, const char *value, void *field);
/* uint64_t: "50%" in millionths, so microseconds a second; min and max are in percent */
int conf_parse_percent(const ConfKey *key, const char *value, void *field);
/* int: TERM, SIGTERM, 15, RTMIN+3 */
int conf_parse_signal(const ConfKey *key, const char *value, void *field);
/* uint32_t[2]: UID[:GID] */
int conf_parse_user_ids(const ConfKey *key, const char *value, void *field);

/* char *: one of the words, or a path as below; the release of a kernel (uname -r) */
int conf_parse_path_or_word(const ConfKey *key, const char *value, void *field);
int conf_parse_kernel_release(const ConfKey *key, const char *value, void *field);
/* char *: an absolute path without "..", printable ASCII, and the two kinds of names */
int conf_parse_path(const ConfKey *key, const char *value, void *field);
int conf_parse_string(const ConfKey *key, const char *value, void *field);
int conf_parse_user_name(const ConfKey *key, const char *value, void *field);
int conf_parse_hostname(const ConfKey *key, const char *value, void *field);

/* char *: a list of numbers as cpu_list_parse() takes it */
int conf_parse_cpu_list(const ConfKey *key, const char *value, void *field);

/* char *: see kernel_modules_split() */
int conf_parse_kernel_modules(const ConfKey *key, const char *value, void *field);

/* char *: a unit with the suffix that is the first word */
int conf_parse_unit(const ConfKey *key, const char *value, void *field);

/* Strv: words as a shell splits them, replaced; NAME=VALUE words, added */
int conf_parse_words(const ConfKey *key, const char *value, void *field);
int conf_parse_environment(const ConfKey *key, const char *value, void *field);
