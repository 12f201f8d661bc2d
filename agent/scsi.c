/* SPDX-License-Identifier: Apache-2.0 */
/* Disks by their place on a SCSI bus: see scsi.h. Reads sysfs, which is the guest kernel's. */

#include "agent/scsi.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>

#include "basic/fd.h"
#include "basic/limits.h"
#include "basic/parse.h"

static void closedirp(DIR **dir)
{
        if (*dir)
                closedir(*dir);
}

static int parse_part(const char *s, size_t n, uint32_t max, uint32_t *ret)
{
        _cleanup_free_ char *copy = strndup(s, n);

        if (!copy)
                return -ENOMEM;
        return parse_u32(copy, ret) < 0 || *ret > max ? -EINVAL : 0;
}

int scsi_parse(const char *s, ScsiAddress *ret)
{
        const char *colon = strchr(s, ':');
        ScsiAddress a;
        int r;

        if (!colon)
                return -EINVAL;
        r = parse_part(s, (size_t) (colon - s), SCSI_ID_MAX, &a.id);
        if (r >= 0)
                r = parse_part(colon + 1, strlen(colon + 1), SCSI_LUN_MAX, &a.lun);
        if (r >= 0)
                *ret = a;
        return r;
}

int scsi_scan(const char *sys, const ScsiAddress *address)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        char path[PATH_MAX], text[32];
        struct dirent *e;
        int r = -ENODEV;

        if (snprintf(path, sizeof(path), "%s/class/scsi_host", sys) >= (int) sizeof(path))
                return -ENAMETOOLONG;
        dir = opendir(path);
        if (!dir)
                return errno == ENOENT ? -ENODEV : negative_errno();

        snprintf(text, sizeof(text), "0 %u %u", address->id, address->lun);
        while ((e = readdir(dir))) {
                if (!startswith(e->d_name, "host"))
                        continue;
                if (snprintf(path, sizeof(path), "%s/scan", e->d_name) >= (int) sizeof(path))
                        continue;
                r = write_string_file_at(dirfd(dir), path, text);
        }
        return r;
}

/* "HOST:0:ID:LUN" */
static bool is_at(const char *name, const ScsiAddress *address)
{
        char place[32];

        snprintf(place, sizeof(place), ":0:%u:%u", address->id, address->lun);
        name += strspn(name, "0123456789");
        return streq(name, place);
}

int scsi_find(const char *sys, const ScsiAddress *address, char **ret)
{
        _cleanup_(closedirp) DIR *dir = NULL;
        char path[PATH_MAX];
        struct dirent *e;

        if (snprintf(path, sizeof(path), "%s/class/scsi_device", sys) >= (int) sizeof(path))
                return -ENAMETOOLONG;
        dir = opendir(path);
        if (!dir)
                return negative_errno();

        while ((e = readdir(dir))) {
                _cleanup_(closedirp) DIR *block = NULL;
                struct dirent *disk;

                if (!is_at(e->d_name, address))
                        continue;
                if (snprintf(path, sizeof(path), "%s/class/scsi_device/%s/device/block", sys, e->d_name) >=
                    (int) sizeof(path))
                        return -ENAMETOOLONG;
                block = opendir(path);
                while (block && (disk = readdir(block)))
                        if (disk->d_name[0] != '.') {
                                *ret = strdup(disk->d_name);
                                return *ret ? 0 : -ENOMEM;
                        }
        }
        return -ENOENT;
}
