/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The agent and its machine as Prometheus text (GetMetrics), from procfs. Names, labels and units are those
 * of the Kata agent (docs/design/kata-2-0-metrics.md there), so that its dashboards fit:
 *
 *      kata_agent_*    this process; memory in bytes, but kata_agent_proc_status in KiB as in procfs
 *      kata_guest_*    the machine; meminfo in bytes, cpu_time in milliseconds, all else as in procfs
 *
 * Names of network interfaces are the tenant's: made printable, and quoted as the format asks for. A file
 * that cannot be read leaves its metrics out.
 */

#include "basic/cleanup.h"

/* proc: "/proc", another place for tests. scrapes: how often this was called, this time included. */
int metrics_text(const char *proc, uint64_t scrapes, char **ret);

/* The two halves; dir_fd is proc. */
void metrics_write_agent(FILE *f, int dir_fd, uint64_t scrapes);
void metrics_write_guest(FILE *f, int dir_fd);

/* For them: a heading, and one line each. Labels may be NULL. */
void metrics_family(FILE *f, const char *name, const char *type, const char *help);
void metrics_value(FILE *f, const char *name, const char *label, const char *value, size_t n_value,
                   const char *item, const char *format, ...) _printf_(7, 8);
