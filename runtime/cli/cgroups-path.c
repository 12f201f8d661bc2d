/* SPDX-License-Identifier: Apache-2.0 */
/* Units of a caller's cgroupsPath: see cgroups-path.h. */

#include "runtime/cli/cgroups-path.h"

#include "basic/error.h"
#include "basic/parse.h"

void cgroup_units_done(CgroupUnits *units)
{
        free(units->slice);
        free(units->scope);
        *units = (CgroupUnits) {};
}

static int refuse(const char *path, const char *why, int error, char **reterr_message)
{
        _cleanup_free_ char *shown = text_escape(path, strlen(path), 160);

        return error_setf(reterr_message, error, "linux.cgroupsPath '%s': %s", strempty(shown), why);
}

int cgroups_path_parse(const char *path, bool systemd, CgroupUnits *ret, char **reterr_message)
{
        _cleanup_(cgroup_units_done) CgroupUnits units = {};
        const char *prefix, *name;

        *ret = (CgroupUnits) {};
        if (!path || !systemd)
                return 0;

        prefix = strchr(path, ':');
        name = prefix ? strchr(prefix + 1, ':') : NULL;
        if (!name || strchr(name + 1, ':'))
                return refuse(path, "with --systemd-cgroup it has the form SLICE:PREFIX:NAME", -EINVAL, reterr_message);
        if (endswith(name + 1, ".slice"))
                return refuse(path, "a machine is in a scope, not in a slice of its own", -EOPNOTSUPP, reterr_message);

        units.slice = prefix == path ? strdup("system.slice") : strndup(path, (size_t) (prefix - path));
        if (!units.slice)
                return -ENOMEM;
        prefix++;
        if (asprintf(&units.scope, "%.*s%s%s.scope", (int) (name - prefix), prefix, name == prefix ? "" : "-",
                     name + 1) < 0) {
                units.scope = NULL;
                return -ENOMEM;
        }
        if (!unit_name_is_valid(units.slice, ".slice"))
                return refuse(path, "its first part is not the name of a slice", -EINVAL, reterr_message);
        if (!unit_name_is_valid(units.scope, ".scope") || name[1] == '\0')
                return refuse(path, "its second and third part are not the name of a scope", -EINVAL, reterr_message);

        *ret = units;
        units = (CgroupUnits) {};
        return 0;
}
