/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the key tables, one key a line: file, section, key, default, separated by tabs. For
 * man/check-pages; not installed.
 */

#include "runtime/conf/conf-tables.h"

static void print_table(const char *file, const ConfKey *table)
{
        CONF_KEY_FOREACH(k, table)
                printf("%s\t%s\t%s\t%s\n", file, k->section, k->name, k->fallback);
}

int main(void)
{
        print_table("kata.conf", node_conf_table);
        print_table("kata-sandbox.conf", sandbox_conf_table);
        print_table("kata-sandbox.conf", container_conf_table);
        return fflush(stdout) == 0 ? 0 : 1;
}
