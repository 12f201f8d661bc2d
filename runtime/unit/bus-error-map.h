/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * D-Bus errors of the service manager and the bus → negative errno and one line of text. The only place
 * that knows error names. libsystemd maps the standard names only; those of systemd1 are ours to map.
 */

#include <systemd/sd-bus.h>

#include "basic/cleanup.h"

/* Negative errno for the error; -EIO for a set error nobody knows, 0 for an unset one. */
int bus_error_to_errno(const sd_bus_error *error);

/* A call named a property that this manager does not know (or not for this kind of unit). */
bool bus_error_is_property_refused(const sd_bus_error *error);

/* There is no such unit, or no such job. */
bool bus_error_is_no_such_unit(const sd_bus_error *error);

/*
 * Stores "<what>: <text of the peer or a plain one> (<error name>)" with foreign bytes escaped, and
 * returns the errno.
 */
int bus_error_set(char **reterr_message, const sd_bus_error *error, const char *what);
