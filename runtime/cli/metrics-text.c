/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text: see metrics-text.h. */

#include "runtime/cli/metrics-text.h"

#include <inttypes.h>

void metrics_row_set(MetricsRow *row, unsigned value, uint64_t n)
{
        assert(value < METRICS_VALUES_MAX);
        row->values[value] = n;
        row->known |= UINT32_C(1) << value;
}

static void row_done(MetricsRow *row)
{
        free(row->sandbox);
        free(row->container);
        *row = (MetricsRow) {};
}

int metrics_row_add(MetricsRow **rows, size_t *n_rows, MetricsRow *row)
{
        MetricsRow *v = row->sandbox ? reallocarray(*rows, *n_rows + 1, sizeof(*v)) : NULL;

        if (!v) {
                row_done(row);
                return -ENOMEM;
        }
        *rows = v;
        v[(*n_rows)++] = *row;
        *row = (MetricsRow) {};
        return 0;
}

void metrics_rows_free(MetricsRow *rows, size_t n_rows)
{
        for (size_t i = 0; i < n_rows; i++)
                row_done(&rows[i]);
        free(rows);
}

static bool is_known(const MetricsRow *row, const MetricsFamily *family)
{
        return row->known & UINT32_C(1) << family->value;
}

static void print_value(FILE *f, uint64_t n, unsigned digits)
{
        uint64_t unit = 1;

        for (unsigned i = 0; i < digits; i++)
                unit *= 10;
        if (digits > 0)
                fprintf(f, "%" PRIu64 ".%0*" PRIu64 "\n", n / unit, (int) digits, n % unit);
        else
                fprintf(f, "%" PRIu64 "\n", n);
}

static void print_row(FILE *f, const MetricsFamily *family, const MetricsRow *row)
{
        fprintf(f, "%s{sandbox_id=\"%s\"", family->name, row->sandbox);
        if (row->container)
                fprintf(f, ",container_id=\"%s\"", row->container);
        fputs("} ", f);
        print_value(f, row->values[family->value], family->digits);
}

void metrics_print(FILE *f, const MetricsFamily *families, size_t n_families, const MetricsRow *rows, size_t n_rows)
{
        for (size_t i = 0; i < n_families; i++) {
                bool begun = false;

                for (size_t k = 0; k < n_rows; k++) {
                        if (!is_known(&rows[k], &families[i]))
                                continue;
                        if (!begun)
                                fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", families[i].name, families[i].help,
                                        families[i].name, families[i].type);
                        begun = true;
                        print_row(f, &families[i], &rows[k]);
                }
        }
}
