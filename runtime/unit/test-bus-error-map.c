/* SPDX-License-Identifier: Apache-2.0 */
/* Every error name becomes an errno and a line that an operator can use. */

#include "basic/test.h"
#include "runtime/unit/bus-error-map.h"

static void check(const char *name, const char *text, int error, const char *shown)
{
        _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *message = NULL;

        sd_bus_error_set(&e, name, text);
        ASSERT_ERROR(bus_error_to_errno(&e), error);
        ASSERT_ERROR(bus_error_set(&message, &e, "x.scope"), error);
        ASSERT_CONTAINS(message, shown);
        ASSERT_CONTAINS(message, name);
        ASSERT_TRUE(startswith(message, "x.scope: ") != NULL);
        ASSERT_NULL(strchr(message, '\n'));
}

TEST(names)
{
        check("org.freedesktop.systemd1.UnitExists", "Unit x was loaded", EEXIST, "was loaded");
        check("org.freedesktop.systemd1.NoSuchUnit", "Unit x not loaded.", ENOENT, "not loaded");
        check("org.freedesktop.systemd1.ShuttingDown", "foo", ESHUTDOWN, "shutting down");
        check("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "x", EACCES, "root is needed");
        check("org.freedesktop.DBus.Error.ServiceUnknown", "x", EHOSTDOWN, "not on the bus");
        check("System.Error.EUCLEAN", "x", EUCLEAN, "x");
        check("com.example.Newer", "line one\nline\x01two", EIO, "line one\\x0aline\\x01two");
}

TEST(kinds)
{
        sd_bus_error read_only = SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_PROPERTY_READ_ONLY, "x");
        sd_bus_error unknown = SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_UNKNOWN_PROPERTY, "x");
        sd_bus_error none = SD_BUS_ERROR_NULL;
        sd_bus_error no_unit = SD_BUS_ERROR_MAKE_CONST("org.freedesktop.systemd1.NoSuchUnit", "x");

        ASSERT_TRUE(bus_error_is_property_refused(&read_only));
        ASSERT_TRUE(bus_error_is_property_refused(&unknown));
        ASSERT_FALSE(bus_error_is_property_refused(&no_unit));
        ASSERT_TRUE(bus_error_is_no_such_unit(&no_unit));
        ASSERT_EQ(bus_error_to_errno(&none), 0);
}

DEFINE_TEST_MAIN
