/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Options of the command line as tables. The same table reads them, prints the help and makes the
 * completions. The forms are those that callers of OCI runtimes use (the flag package of Go): -x V, -x=V,
 * --name V, --name=V and -name for each; a switch is on when it is there, or --name=true|false. "--" ends
 * them. Pure functions; arguments come from whoever started the program.
 */

#include "basic/strv.h"

typedef struct CliOption {
        const char *name;       /* without dashes; NULL ends the table */
        char letter;            /* 0: none */
        const char *value;      /* what it takes, for the help; NULL: a switch */
        size_t offset;          /* of a const char *, of a bool for a switch, of a Strv with multiple */
        const char *help;
        const char *const *choices;     /* NULL-terminated: nothing else is accepted */
        bool multiple;
} CliOption;

#define CLI_OPTION_FOREACH(o, table) for (const CliOption *o = (table); o && o->name; o++)

/*
 * Reads argv[0..n) into base and the rest, in order, into words (not owned; room for n). in_order: the first word
 * ends the options, so that those behind it belong to somebody else. -EINVAL with a text.
 */
int cli_options_parse(const CliOption *table, bool in_order, size_t n, char *argv[], void *base,
                      char *words[], size_t *ret_words, char **reterr_message);

/* Frees what options with multiple have gathered. */
void cli_options_done(const CliOption *table, void *base);
