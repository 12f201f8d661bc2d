/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reading the tables of procfs, sysfs and cgroupfs: lines, words, numbers. Nothing here changes or copies
 * the text; what is returned points into it. Numbers that do not fit into 64 bits are no numbers.
 */

#include "basic/cleanup.h"
#include "basic/limits.h"

typedef struct StatsLine {
        const char *p;          /* the rest of the line */
        size_t n;
} StatsLine;

/* False at the end. Without the line break; empty lines are skipped. */
bool stats_next_line(const char **text, StatsLine *ret);

/* Each skips blanks, and takes what it returns off the line. False if it is not there; then the line stays. */
bool stats_next_word(StatsLine *line, const char **ret, size_t *ret_n);
bool stats_next_u64(StatsLine *line, uint64_t *ret);
bool stats_next_char(StatsLine *line, char c);
/* "name=", the value is next. Words without '=' are passed over. */
bool stats_next_assignment(StatsLine *line, const char **ret, size_t *ret_n);
/* "12.34" → 1234; further digits are cut. */
bool stats_next_hundredths(StatsLine *line, uint64_t *ret);

bool stats_word_is(const char *word, size_t n, const char *s);
/* Lower-case letters, digits and '_' only. */
bool stats_name_is_plain(const char *name, size_t n);

/* /proc/net/dev, proc_pid_net(5) */
enum {
        NET_DEV_RX_BYTES,
        NET_DEV_RX_PACKETS,
        NET_DEV_RX_ERRORS,
        NET_DEV_RX_DROPPED,
        NET_DEV_RX_FIFO,
        NET_DEV_RX_FRAME,
        NET_DEV_RX_COMPRESSED,
        NET_DEV_RX_MULTICAST,
        NET_DEV_TX_BYTES,
        NET_DEV_TX_PACKETS,
        NET_DEV_TX_ERRORS,
        NET_DEV_TX_DROPPED,
        NET_DEV_TX_FIFO,
        NET_DEV_TX_COLLISIONS,
        NET_DEV_TX_CARRIER,
        NET_DEV_TX_COMPRESSED,
        NET_DEV_COLUMNS,
};

/* False for the two lines of headings, and for anything else that is not an interface with its numbers. */
bool stats_parse_net_dev(StatsLine *line, const char **ret_name, size_t *ret_n, uint64_t ret[NET_DEV_COLUMNS]);

/* The first bytes of a file, up to max and the last line break among them. dir_fd as for openat(). */
int stats_read_start(int dir_fd, const char *path, size_t max, char **ret);

/* Sizes in dir (/sys/kernel/mm/hugepages) as the hugetlb controller writes them: "2MB". Returns their number. */
size_t stats_hugepage_sizes(const char *dir, char ret[STATS_HUGEPAGES_MAX][STATS_NAME_MAX]);
