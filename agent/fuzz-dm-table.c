/* SPDX-License-Identifier: Apache-2.0 */
/* Device tables of the kernel command line: what is accepted has the form that the ioctls rely on. */

#include "agent/initrd-plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static InitrdModules modules;
        static DmTables tables;
        static RootPlan plan;
        _cleanup_free_ char *text = NULL, *message = NULL;

        text = malloc(size + 1);
        if (!text)
                return 0;
        if (size > 0)
                memcpy(text, data, size);
        text[size] = '\0';

        if (dm_tables_parse(text, &tables, &message) < 0)
                assert(message);
        else {
                assert(tables.n > 0 && tables.n <= DM_DEVICES_MAX);
                for (size_t i = 0; i < tables.n; i++) {
                        const DmTable *t = &tables.v[i];

                        assert(*t->name && !strchr(t->name, '/') && t->sectors > 0);
                        assert(t->minor >= -1 && t->minor < 1 << 20);
                        assert(startswith(t->data, "/dev/") && startswith(t->hash, "/dev/"));
                        assert(strstr(t->params, t->data) && strstr(t->params, t->hash));
                }
        }

        (void) root_plan_parse(text, &plan, NULL);
        (void) initrd_modules_parse(text, &modules, NULL);
        return 0;
}
