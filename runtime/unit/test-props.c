/* SPDX-License-Identifier: Apache-2.0 */
/* Property lists: types are checked against the table, features choose what is sent. */

#include <unistd.h>

#include "basic/test.h"
#include "runtime/unit/props.h"

TEST(types_are_checked)
{
        UnitProps props = {};
        UnitDevice device = { "/dev/kvm", "rw" };
        const char *value = "a.service";

        ASSERT_ERROR(unit_props_add_bool(&props, UNIT_PROP_SLICE, true), EINVAL);
        ASSERT_ERROR(unit_props_add_string(&props, UNIT_PROP_TASKS_MAX, "7"), EINVAL);
        ASSERT_ERROR(unit_props_add_u64(&props, UNIT_PROP_SLICE, 7), EINVAL);
        ASSERT_ERROR(unit_props_add_strings(&props, UNIT_PROP_SLICE, &value, 1), EINVAL);
        ASSERT_ERROR(unit_props_add_devices(&props, UNIT_PROP_SLICE, &device, 1), EINVAL);
        ASSERT_EQ(props.n, 0);
        unit_props_done(&props);
}

TEST(bounds)
{
        UnitProps props = {};
        PidRef none = PIDREF_NULL;

        ASSERT_ERROR(unit_props_add_processes(&props, &none, 0), EINVAL);
        ASSERT_ERROR(unit_props_add_processes(&props, &none, 1), ESRCH);
        for (unsigned i = 0; i < UNIT_PROPS_MAX; i++)
                ASSERT_OK(unit_props_add_u64(&props, UNIT_PROP_TASKS_MAX, i));
        ASSERT_ERROR(unit_props_add_u64(&props, UNIT_PROP_TASKS_MAX, 1), E2BIG);
        ASSERT_ERROR(unit_props_add_string(&props, UNIT_PROP_SLICE, "x"), E2BIG);
        unit_props_done(&props);
}

TEST(refused_feature)
{
        _cleanup_(pidref_done) PidRef self = PIDREF_NULL;
        UnitProps props = {};
        unsigned all = UNIT_FEATURES_ALL;

        ASSERT_OK(pidref_set(&self, getpid()));
        ASSERT_OK(unit_props_add_string(&props, UNIT_PROP_OOM_POLICY, "continue"));
        ASSERT_OK(unit_props_add_processes(&props, &self, 1));

        ASSERT_EQ(unit_props_refused_feature(&props, all, "Cannot set property PIDFDs, or unknown property."),
                  UNIT_FEATURE_PIDFDS);
        ASSERT_EQ(unit_props_refused_feature(&props, all, "Cannot set property OOMPolicy, or ..."),
                  UNIT_FEATURE_OOM_POLICY);
        /* Another property: a real error. */
        ASSERT_EQ(unit_props_refused_feature(&props, all, "Cannot set property Slice, or unknown property."), 0);
        /* No name at all: everything optional goes. */
        ASSERT_EQ(unit_props_refused_feature(&props, all, "read-only"), UNIT_FEATURES_ALL);
        ASSERT_EQ(unit_props_refused_feature(&props, all, NULL), UNIT_FEATURES_ALL);
        /* Already without: nothing is left to drop. */
        ASSERT_EQ(unit_props_refused_feature(&props, 0, "Cannot set property PIDFDs"), 0);
        ASSERT_EQ(unit_props_refused_feature(&props, 0, NULL), 0);
        unit_props_done(&props);
}

DEFINE_TEST_MAIN
