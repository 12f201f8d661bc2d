/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Numbers in the text form of Prometheus ("Exposition formats", version 0.0.4): one group of lines for each name,
 * with its help and type before it. Pure. Values are whole numbers of a unit or of a power of ten below it, so that
 * nothing is rounded.
 */

#include "basic/cleanup.h"

#define METRICS_VALUES_MAX 16U

typedef struct MetricsRow {
        char *sandbox, *container;      /* labels; container NULL: none. Names of units and ids: nothing to be quoted */
        uint64_t values[METRICS_VALUES_MAX];
        uint32_t known;                 /* bit i: values[i] is there */
} MetricsRow;

typedef struct MetricsFamily {
        const char *name;
        const char *type;               /* "gauge" or "counter" */
        const char *help;               /* one line without backslashes */
        unsigned value;                 /* which of a row */
        unsigned digits;                /* behind the decimal point; 6: values are microseconds, the name is seconds */
} MetricsFamily;

void metrics_row_set(MetricsRow *row, unsigned value, uint64_t n);
/* Takes the content of row. -ENOMEM. */
int metrics_row_add(MetricsRow **rows, size_t *n_rows, MetricsRow *row);
void metrics_rows_free(MetricsRow *rows, size_t n_rows);

/* A family that no row has a value of is left out. */
void metrics_print(FILE *f, const MetricsFamily *families, size_t n_families, const MetricsRow *rows, size_t n_rows);
