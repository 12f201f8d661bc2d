/* SPDX-License-Identifier: Apache-2.0 */
/* Unit names: see unit-name.h. Names come from callers and are checked here, before they reach D-Bus. */

#include "runtime/unit/unit-name.h"

#include "basic/limits.h"
#include "basic/parse.h"

#define SERVICE_PREFIX "kata-sandbox@"
#define SERVICE_SUFFIX ".service"
#define SCOPE_PREFIX "kata-vm-"
#define SCOPE_SUFFIX ".scope"

static int compose(const char *prefix, const char *name, const char *suffix, char **ret)
{
        char *s;

        if (!sandbox_name_is_valid(name) ||
            strlen(prefix) + strlen(name) + strlen(suffix) > UNIT_NAME_MAX)
                return -EINVAL;
        if (asprintf(&s, "%s%s%s", prefix, name, suffix) < 0)
                return -ENOMEM;

        *ret = s;
        return 0;
}

int unit_name_service(const char *name, char **ret)
{
        return compose(SERVICE_PREFIX, name, SERVICE_SUFFIX, ret);
}

int unit_name_scope(const char *name, char **ret)
{
        return compose(SCOPE_PREFIX, name, SCOPE_SUFFIX, ret);
}

int unit_name_to_sandbox(const char *unit, char **ret)
{
        _cleanup_free_ char *name = NULL;
        const char *rest, *end;

        rest = unit ? startswith(unit, SERVICE_PREFIX) : NULL;
        end = rest ? endswith(rest, SERVICE_SUFFIX) : NULL;
        if (!end)
                return -EINVAL;

        name = strndup(rest, (size_t) (end - rest));
        if (!name)
                return -ENOMEM;
        if (!sandbox_name_is_valid(name))
                return -EINVAL;

        *ret = TAKE_PTR(name);
        return 0;
}
