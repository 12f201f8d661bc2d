/* SPDX-License-Identifier: Apache-2.0 */
/* Parser of dm-mod.create=: see dm-table.h. Runs in the guest, before its root is mounted. */

#include "agent/dm-table.h"

#include "basic/error.h"
#include "basic/parse.h"

/* Cuts the next field off at c; NULL if there is none. */
static char *next_field(char **rest, char c)
{
        char *field = *rest, *end = strchr(field, c);

        if (!end)
                return NULL;
        *end = '\0';
        *rest = end + 1;
        return field;
}

static bool is_printable(const char *s)
{
        for (; *s; s++)
                if (*s < 0x20 || *s > 0x7e)
                        return false;

        return true;
}

static int copy_text(const char *from, char *to, size_t max)
{
        size_t n = strlen(from);

        if (n > max)
                return -E2BIG;
        memcpy(to, from, n + 1);
        return 0;
}

static int parse_minor(const char *text, int *ret)
{
        uint32_t v;
        int r;

        if (*text == '\0') {
                *ret = -1;
                return 0;
        }

        r = parse_u32(text, &v);
        if (r < 0)
                return r;
        if (v >= 1U << 20)      /* MINORBITS */
                return -ERANGE;
        *ret = (int) v;
        return 0;
}

/* "/dev/vda": one name below /dev, as devtmpfs has it at once. */
static bool device_is_valid(const char *path)
{
        const char *name = startswith(path, "/dev/");

        return name && *name && *name != '.' && !strchr(name, '/');
}

/* Version, data device and hash device; the rest is the kernel's to judge. */
static int parse_verity(char *params, DmTable *t, char **reterr_message)
{
        char *version, *data, *hash, *rest = params;
        int r;

        r = copy_text(params, t->params, DM_PARAMS_MAX);
        if (r < 0)
                return error_setf(reterr_message, r, "device '%s': table is too long", t->name);

        version = next_field(&rest, ' ');
        data = version ? next_field(&rest, ' ') : NULL;
        hash = data ? next_field(&rest, ' ') : NULL;
        if (!hash)
                return error_setf(reterr_message, EINVAL, "device '%s': verity table is cut off",
                                  t->name);
        if (!streq(version, "1"))
                return error_setf(reterr_message, EOPNOTSUPP,
                                  "device '%s': verity hash type is not 1", t->name);
        if (!device_is_valid(data) || copy_text(data, t->data, DM_TABLE_PATH_MAX) < 0 ||
            !device_is_valid(hash) || copy_text(hash, t->hash, DM_TABLE_PATH_MAX) < 0)
                return error_setf(reterr_message, EINVAL,
                                  "device '%s': data and hash device have to be files of /dev", t->name);

        return 0;
}

static int parse_table(char *table, DmTable *t, char **reterr_message)
{
        char *start, *sectors, *type, *rest = table + strspn(table, " ");

        if (strchr(table, ','))
                return error_setf(reterr_message, EINVAL, "device '%s': more than one table",
                                  t->name);

        start = next_field(&rest, ' ');
        sectors = start ? next_field(&rest, ' ') : NULL;
        type = sectors ? next_field(&rest, ' ') : NULL;
        if (!type)
                return error_setf(reterr_message, EINVAL, "device '%s': table is cut off", t->name);
        if (!streq(start, "0") || parse_u64(sectors, &t->sectors) < 0 || t->sectors == 0 ||
            t->sectors > UINT64_MAX >> 9)
                return error_setf(reterr_message, EINVAL, "device '%s': sectors are not valid", t->name);
        if (!streq(type, "verity"))
                return error_setf(reterr_message, EPERM,
                                  "device '%s': the only target that is set up here is verity",
                                  t->name);

        return parse_verity(rest, t, reterr_message);
}

static int parse_device(char *text, DmTable *t, char **reterr_message)
{
        char *name, *uuid, *minor, *flags, *rest = text + strspn(text, " ");

        name = next_field(&rest, ',');
        uuid = name ? next_field(&rest, ',') : NULL;
        minor = uuid ? next_field(&rest, ',') : NULL;
        flags = minor ? next_field(&rest, ',') : NULL;
        if (!flags)
                return error_setf(reterr_message, EINVAL, "a device has less than five fields");
        if (*name == '\0' || strchr(name, '/') || copy_text(name, t->name, DM_TABLE_NAME_MAX) < 0)
                return error_setf(reterr_message, EINVAL, "name of a device is not valid");
        if (copy_text(uuid, t->uuid, DM_TABLE_UUID_MAX) < 0)
                return error_setf(reterr_message, EINVAL, "device '%s': UUID is too long", t->name);
        if (parse_minor(minor, &t->minor) < 0)
                return error_setf(reterr_message, EINVAL, "device '%s': minor is not valid", t->name);
        if (!streq(flags, "ro"))
                return error_setf(reterr_message, EPERM, "device '%s' is not read-only", t->name);

        return parse_table(rest, t, reterr_message);
}

int dm_tables_parse(const char *text, DmTables *ret, char **reterr_message)
{
        _cleanup_free_ DmTables *tables = new0(DmTables, 1);
        _cleanup_free_ char *copy = NULL;
        char *rest, *device;
        int r;

        if (!tables)
                return -ENOMEM;
        if (strnlen(text, KERNEL_CMDLINE_MAX + 1) > KERNEL_CMDLINE_MAX || !is_printable(text))
                return error_setf(reterr_message, EINVAL, "not a line of printable text");
        copy = rest = strdup(text);
        if (!copy)
                return -ENOMEM;

        while ((device = strsep(&rest, ";"))) {
                if (tables->n >= DM_DEVICES_MAX)
                        return error_setf(reterr_message, E2BIG, "more than %u devices",
                                          DM_DEVICES_MAX);
                r = parse_device(device, &tables->v[tables->n], reterr_message);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < tables->n; i++)
                        if (streq(tables->v[i].name, tables->v[tables->n].name))
                                return error_setf(reterr_message, EEXIST,
                                                  "device '%s' is given twice", tables->v[i].name);
                tables->n++;
        }

        *ret = *tables;
        return 0;
}
