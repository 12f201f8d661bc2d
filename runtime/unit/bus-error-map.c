/* SPDX-License-Identifier: Apache-2.0 */
/* D-Bus error names: see bus-error-map.h. Text from the peer is escaped before it is shown. */

#include "runtime/unit/bus-error-map.h"

#include "basic/error.h"
#include "basic/limits.h"
#include "basic/parse.h"

#define SYSTEMD1 "org.freedesktop.systemd1."
#define DBUS "org.freedesktop.DBus.Error."

/* text: shown in place of the peer's, where that would not tell an operator what to do. */
static const struct {
        const char *name;
        int error;
        const char *text;
} map[] = {
        { SYSTEMD1 "UnitExists", EEXIST, NULL },
        { SYSTEMD1 "NoSuchUnit", ENOENT, NULL },
        { SYSTEMD1 "NoUnitForPID", ESRCH, NULL },
        { SYSTEMD1 "NoSuchJob", ENOENT, NULL },
        { SYSTEMD1 "NoSuchProcess", ESRCH, NULL },
        { SYSTEMD1 "LoadFailed", EIO, NULL },
        { SYSTEMD1 "BadUnitSetting", ENOEXEC, NULL },
        { SYSTEMD1 "JobFailed", EREMOTEIO, NULL },
        { SYSTEMD1 "UnitMasked", ERFKILL, NULL },
        { SYSTEMD1 "UnitGenerated", EADDRNOTAVAIL, NULL },
        { SYSTEMD1 "UnitLinked", ELOOP, NULL },
        { SYSTEMD1 "UnitInactive", ENOTCONN, NULL },
        { SYSTEMD1 "UnitBusy", EBUSY, NULL },
        { SYSTEMD1 "FrozenUnit", EBUSY, NULL },
        { SYSTEMD1 "JobTypeNotApplicable", EINVAL, NULL },
        { SYSTEMD1 "TransactionIsDestructive", EDEADLK,
          "the service manager is shutting down or a contrary job is queued" },
        { SYSTEMD1 "TransactionJobsConflicting", EDEADLK, NULL },
        { SYSTEMD1 "TransactionOrderIsCyclic", ELOOP, NULL },
        { SYSTEMD1 "ShuttingDown", ESHUTDOWN, "the service manager is shutting down" },
        { SYSTEMD1 "NothingToKill", ESRCH, NULL },
        { SYSTEMD1 "NotReferenced", EUNATCH, NULL },
        { SYSTEMD1 "DiskFull", ENOSPC, NULL },
        { SYSTEMD1 "ConcurrencyLimitReached", EBUSY, NULL },
        { DBUS "AccessDenied", EACCES, NULL },
        { DBUS "InteractiveAuthorizationRequired", EACCES, "root is needed (polkit refused)" },
        { DBUS "AuthFailed", EACCES, NULL },
        { DBUS "ServiceUnknown", EHOSTDOWN, "systemd is not on the bus" },
        { DBUS "NameHasNoOwner", EHOSTDOWN, "systemd is not on the bus" },
        { DBUS "NoReply", ETIMEDOUT, NULL },
        { DBUS "Timeout", ETIMEDOUT, NULL },
        { DBUS "TimedOut", ETIMEDOUT, NULL },
        { DBUS "Disconnected", ECONNRESET, "the connection to the bus was lost" },
        { DBUS "NoServer", ECONNREFUSED, NULL },
        { DBUS "LimitsExceeded", ENOBUFS, NULL },
        { DBUS "NoMemory", ENOMEM, NULL },
        { DBUS "InvalidArgs", EINVAL, NULL },
        { DBUS "InvalidSignature", EINVAL, NULL },
        { DBUS "UnknownMethod", EOPNOTSUPP, NULL },
        { DBUS "UnknownObject", ENOENT, NULL },
        { DBUS "UnknownInterface", EOPNOTSUPP, NULL },
        { DBUS "UnknownProperty", EOPNOTSUPP, NULL },
        { DBUS "PropertyReadOnly", EROFS, NULL },
        { DBUS "NotSupported", EOPNOTSUPP, NULL },
        { DBUS "FileNotFound", ENOENT, NULL },
        { DBUS "UnixProcessIdUnknown", ESRCH, NULL },
};

int bus_error_to_errno(const sd_bus_error *error)
{
        int r;

        if (!sd_bus_error_is_set(error))
                return 0;

        for (size_t i = 0; i < ELEMENTSOF(map); i++)
                if (streq(error->name, map[i].name))
                        return -map[i].error;

        /* System.Error.* carries an errno name; everything else is plain EIO there too. */
        r = sd_bus_error_get_errno(error);
        return r > 0 ? -r : -EIO;
}

bool bus_error_is_property_refused(const sd_bus_error *error)
{
        return sd_bus_error_has_name(error, DBUS "UnknownProperty") ||
               sd_bus_error_has_name(error, DBUS "PropertyReadOnly");
}

bool bus_error_is_no_such_unit(const sd_bus_error *error)
{
        return sd_bus_error_has_name(error, SYSTEMD1 "NoSuchUnit") ||
               sd_bus_error_has_name(error, SYSTEMD1 "NoSuchJob") ||
               sd_bus_error_has_name(error, DBUS "UnknownObject");
}

int bus_error_set(char **reterr_message, const sd_bus_error *error, const char *what)
{
        _cleanup_free_ char *text = NULL;
        const char *message = error->message;
        int r = bus_error_to_errno(error);

        for (size_t i = 0; i < ELEMENTSOF(map); i++)
                if (map[i].text && sd_bus_error_has_name(error, map[i].name))
                        message = map[i].text;

        if (!message)
                message = strerror(-r);

        text = text_escape(message, strlen(message), BUS_ERROR_TEXT_MAX);
        return error_setf(reterr_message, r, "%s: %s (%s)", what, text ? text : strerror(-r),
                          strempty(error->name));
}
